import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { lockShares } from '../../kernel/entity/lock-shares.ts'
import type { Expected, Repository, Stored } from '../../kernel/entity/repository.ts'
import { belongingOf } from '../../kernel/entity/scope.ts'
import { forbidden, invalid } from '../../kernel/errors.ts'
import { reaches, type Scope } from '../../kernel/rights.ts'
import { type GrantedShare, type Grantee, readShares } from './shares.queries.ts'

/** A share as a request says it. */
export interface WantedShare extends Grantee {
  readonly access: 'read' | 'write'
}

/**
 * Makes these the shares of a record, as one change of it, and gives what it has become. Only those to whom it belongs may: who has it by a share cannot
 * hand it on. Throws 404, 403, 412, and 400 that names who is not there.
 */
export async function setShares(
  tx: Tx,
  records: Repository,
  id: string,
  wanted: readonly WantedShare[],
  expected: Expected,
): Promise<{ stored: Stored; shares: GrantedShare[] }> {
  const { type } = records.entity
  const record = JSON.parse((await records.get(tx, id)).json)
  const scope = withoutShares(tx, type)
  // Asked before the shares change: they are what he may see it by.
  if (!reaches(scope, belongingOf(records.entity, record))) throw forbidden(`Your role may not share this ${type}`)
  // Two at once would each work out the difference to what the other is about to change.
  await lockShares(tx, id)
  await refuseStrangers(tx, wanted)
  const before = await readShares(tx, type, id)
  await tx.query(sql`
    delete from record_shares where tenant_id = ${tx.ctx.tenantId} and record_type = ${type} and record_id = ${id}
      and grantee_id <> all(${wanted.map(({ id }) => id)}::uuid[])`)
  await tx.query(sql`
    insert into record_shares as s (tenant_id, record_type, record_id, grantee_id, grantee_type, access, shared_by_id)
    select ${tx.ctx.tenantId}, ${type}, ${id}, w.id, w.kind, w.access, ${tx.ctx.actor.id}
    from jsonb_to_recordset(${JSON.stringify(wanted)}::jsonb) as w(id uuid, kind text, access text)
    on conflict (tenant_id, record_type, record_id, grantee_id) do update
      set access = excluded.access, shared_by_id = excluded.shared_by_id, shared_at = now()
      where s.access <> excluded.access`)
  const after = await readShares(tx, type, id)
  const change = { field: 'sharedWith', oldValue: before.map(told), newValue: after.map(told) }
  const parts = JSON.stringify(change.oldValue) === JSON.stringify(change.newValue) ? [] : [change]
  return { stored: await records.derive(tx, id, {}, { verb: 'shared', parts, expected, scope }), shares: after }
}

/** What the timeline says of a share. */
const told = ({ id, kind, name, access }: GrantedShare) => ({
  [kind === 'user' ? 'userId' : 'teamId']: id,
  name,
  access,
})

function withoutShares(tx: Tx, type: string): Scope {
  const scope = tx.ctx.rights.scope(type, 'update')
  return typeof scope === 'string' ? scope : { ...scope, shares: undefined }
}

async function refuseStrangers(tx: Tx, wanted: readonly WantedShare[]): Promise<void> {
  const known = await tx.query<{ id: string }>(sql`
    select w.id from jsonb_to_recordset(${JSON.stringify(wanted)}::jsonb) as w(id uuid, kind text)
    where case w.kind
      when 'user' then exists (select from users u
        where u.tenant_id = ${tx.ctx.tenantId} and u.id = w.id and u.active and u.deleted_at is null)
      else exists (select from teams t where t.tenant_id = ${tx.ctx.tenantId} and t.id = w.id and t.deleted_at is null) end`)
  const ids = new Set(known.map(({ id }) => id))
  const errors = wanted.flatMap(({ id, kind }, index) =>
    ids.has(id)
      ? []
      : [{ path: `shares.${index}.${kind}Id`, message: `must be the id of a ${kind}`, code: 'invalid_reference' }],
  )
  if (errors.length > 0) throw invalid(errors)
}
