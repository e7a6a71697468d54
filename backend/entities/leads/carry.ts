import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { fill, plan } from '../../kernel/db/plan.ts'
import type { Repository } from '../../kernel/entity/repository.ts'

interface Ref {
  readonly type: string
  readonly id: string
}

/** The lists in which records name what they are about, and who took part. */
const lists: Readonly<Record<string, readonly string[]>> = {
  note: ['related'],
  task: ['related'],
  interaction: ['related', 'participants'],
}

const longestList = 50

/**
 * Brings what hung on a lead to its heir: what named the lead also names the heir, each a change of its own record, and
 * comments go over. It asks nobody's rights: it follows from the conversion.
 */
export async function carryRelated(
  tx: Tx,
  repository: (type: string) => Repository,
  leadId: string,
  heir: Ref,
): Promise<void> {
  for (const [type, members] of Object.entries(lists)) {
    for (const { id, ...held } of await thoseNaming(tx, repository(type), members, leadId)) {
      const named = members.flatMap((member) => {
        const before = held[member] ?? []
        const names = (each: string) => before.some((one) => one.id === each)
        const follows = names(leadId) && !names(heir.id) && before.length < longestList
        return follows && mayHold(member, heir) ? [[member, [...before, heir]] as const] : []
      })
      if (named.length === 0) continue
      await repository(type).derive(tx, id, Object.fromEntries(named), { scope: 'all', data: { leadId } })
    }
  }
  await tx.query(sql`
    update comments set entity_type = ${heir.type}, entity_id = ${heir.id}
    where tenant_id = ${tx.ctx.tenantId} and entity_type = 'lead' and entity_id = ${leadId}`)
}

/** People take part. */
const mayHold = (member: string, heir: Ref): boolean => member !== 'participants' || heir.type === 'contact'

type Naming = { readonly id: string } & Readonly<Record<string, readonly Ref[]>>

/** The live records of a noun that name the lead, with their lists, locked. */
async function thoseNaming(
  tx: Tx,
  { entity }: Repository,
  members: readonly string[],
  leadId: string,
): Promise<Naming[]> {
  const made = plan((bind) => {
    const tenant = bind('tenant', 'uuid')
    return `
      select r.id, ${members.map((member) => `r.${member}`).join(', ')} from ${entity.table} r
      where r.tenant_id = ${tenant} and r.deleted_at is null and r.id = any(array(
        select l.record_id from unnest(${bind('members', 'text[]')}) m(member)
        join record_links l on l.tenant_id = ${tenant} and l.record_type = '${entity.type}' and l.member = m.member and l.target_id = ${bind('lead', 'uuid')}))
      order by r.id for update of r`
  })
  return tx.query<Naming>(fill(made, { tenant: tx.ctx.tenantId, members, lead: leadId }))
}
