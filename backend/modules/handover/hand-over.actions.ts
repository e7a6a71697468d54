import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { invalidMember } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import { newId } from '../../kernel/ids.ts'

/** Asks for all that a member looks after to be given to another; gives the id under which it can be watched. */
export async function requestHandOver(tx: Tx, fromId: string, toId: string): Promise<string> {
  const { tenantId, actor } = tx.ctx
  if (fromId === toId) throw invalidMember('handOverTo', 'must be another than who leaves')
  const people = await tx.query<{ id: string; name: string; active: boolean }>(sql`
    select id, name, active from users
    where tenant_id = ${tenantId} and id in (${fromId}, ${toId}) and deleted_at is null order by id for share`)
  const to = people.find(({ id }) => id === toId)
  if (!to?.active) throw invalidMember('handOverTo', 'must be the id of an active member', 'invalid_reference')
  const id = newId()
  await tx.query(sql`
    insert into hand_overs (tenant_id, id, from_id, to_id, created_by_id)
    values (${tenantId}, ${id}, ${fromId}, ${toId}, ${actor.id})`)
  const name = people.find((person) => person.id === fromId)?.name ?? ''
  await appendEvents(tx, [
    {
      name: 'user.hand_over_requested',
      type: 'user',
      recordId: fromId,
      record: { id: fromId, name },
      data: { handOverId: id, toId, toName: to.name },
    },
  ])
  return id
}
