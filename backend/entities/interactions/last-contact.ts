import sql from 'sql-template-tag'
import type { Database, Tx } from '../../kernel/db/database.ts'
import type { Changed, Repository, Stored, Values } from '../../kernel/entity/repository.ts'
import { type Around, aroundEach, wrapped } from '../../kernel/entity/wrapped.ts'
import { conflict } from '../../kernel/errors.ts'
import { lockOf } from '../../kernel/http/idempotency.ts'

/**
 * Interactions whose every write also moves `lastContactedAt` of the contacts that take part in it, or took part before,
 * in the same transaction. Who they are is kept by a trigger (`interaction_contacts`), so that no way of writing forgets it.
 */
export function movingLastContact(
  db: Database,
  interactions: Repository,
  others: (type: string) => Repository,
): Repository {
  const move = (tx: Tx, contactIds: readonly string[], data: Values): Promise<Changed[]> =>
    moveLastContact(tx, others('contact'), contactIds, data)

  const creating = <T>(tx: Tx, write: (tx: Tx) => Promise<T>, idsOf: (made: T) => readonly string[]): Promise<T> =>
    db.transaction(tx.ctx, async (inner) => {
      const made = await write(inner)
      const ids = idsOf(made)
      await move(inner, await contactsOf(inner, ids), ids.length === 1 ? { interactionId: ids[0] } : {})
      return made
    })

  const changing: Around = (tx, id, write) =>
    db.transaction(tx.ctx, async (inner) => {
      // Who changes the same interaction waits here, and then sees who takes part now.
      await inner.query(sql`
        select 1 from interactions where tenant_id = ${inner.ctx.tenantId} and id = ${id} for update`)
      const before = await contactsOf(inner, [id])
      const written = await write(inner)
      await move(inner, [...before, ...(await contactsOf(inner, [id]))], { interactionId: id })
      return written
    })

  const one = (made: Stored): readonly string[] => [made.id]
  return wrapped(interactions, {
    ...aroundEach(interactions, changing),
    create: (tx, values, options) => creating(tx, (inner) => interactions.create(inner, values, options), one),
    createMany: (tx, records) =>
      creating(
        tx,
        (inner) => interactions.createMany(inner, records),
        (made) => made.flatMap((each) => ('id' in each ? [each.id] : [])),
      ),
    createOnce: (tx, values, key) =>
      creating(
        tx,
        async (inner) => {
          // Before the statement that looks for the key: within a transaction it could not be sent a second time.
          const [gate] = await inner.query(
            sql`select pg_try_advisory_xact_lock(hashtextextended(${lockOf(inner.ctx, key)}, 0)) as free`,
          )
          if (!gate?.free) throw conflict('A request with this Idempotency-Key is still in flight')
          return interactions.createOnce(inner, values, key)
        },
        (made) => ('id' in made ? [made.id] : []),
      ),
    // By a merge of contacts, whose own rewriting moves what these have moved; many change alike by their tags only.
    exchange: interactions.exchange,
    changeMany: interactions.changeMany,
  })
}

/** Contacts that, when they come back, know of what was said to them meanwhile. */
export function knowingLastContact(db: Database, contacts: Repository): Repository {
  const knowing: Around = (tx, id, write) =>
    db.transaction(tx.ctx, async (inner) => {
      const written = await write(inner)
      const [moved] = await moveLastContact(inner, contacts, [id])
      return moved ?? written
    })
  const { create, createMany, createOnce, update, replace, derive, retire, remove, archive, unarchive } = contacts
  const { exchange, changeMany } = contacts
  // Merged, a contact has taken part in what the others took part in.
  const { restore, rewrite } = aroundEach(contacts, knowing)
  return wrapped(contacts, {
    ...{ create, createMany, createOnce, update, replace, derive, retire, remove, archive, unarchive },
    ...{ exchange, changeMany, restore, rewrite },
  })
}

/**
 * Makes `lastContactedAt` of contacts the time of the latest interaction that they took part in; what is planned is none yet. Each is locked before it
 * is worked out, so that of two at once the second sees what the first has committed.
 */
export async function moveLastContact(
  tx: Tx,
  contacts: Repository,
  contactIds: readonly string[],
  data: Values = {},
): Promise<Changed[]> {
  if (contactIds.length === 0) return []
  const { tenantId } = tx.ctx
  const ids = [...new Set(contactIds)]
  await tx.query(sql`
    select 1 from contacts where tenant_id = ${tenantId} and id = any(${ids}::uuid[]) and deleted_at is null order by id for update`)
  const moved = await tx.query<{ id: string; latest: Date | null }>(sql`
    select c.id, l.latest from contacts c cross join lateral (
      select max(k.occurred_at) as latest from interaction_contacts k
      where k.tenant_id = c.tenant_id and k.contact_id = c.id and k.occurred_at <= now()::timestamptz(3)) l
    where c.tenant_id = ${tenantId} and c.id = any(${ids}::uuid[]) and c.deleted_at is null
      and c.last_contacted_at is distinct from l.latest order by c.id`)
  const changed: Changed[] = []
  for (const { id, latest } of moved) {
    const lastContactedAt = latest?.toISOString() ?? null
    changed.push(await contacts.derive(tx, id, { lastContactedAt }, { scope: 'all', data }))
  }
  return changed
}

async function contactsOf(tx: Tx, interactionIds: readonly string[]): Promise<string[]> {
  const rows = await tx.query<{ id: string }>(sql`
    select distinct k.contact_id as id from interaction_contacts k
    where k.tenant_id = ${tx.ctx.tenantId} and k.interaction_id = any(${interactionIds}::uuid[])`)
  return rows.map(({ id }) => id)
}
