import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import type { Change } from '../../kernel/events/event.ts'

type Access = 'read' | 'write'

/** A share that a merge gave its survivor, or widened: what it was, null for none, and what it left. */
export interface CarriedShare {
  readonly kind: 'user' | 'team'
  readonly granteeId: string
  readonly before: Access | null
  readonly after: Access
}

/** Shares a survivor with whom the others were shared, as widely; they keep theirs, for when they come back. */
export function carryShares(
  tx: Tx,
  type: string,
  merged: readonly string[],
  survivorId: string,
): Promise<CarriedShare[]> {
  return tx.query<CarriedShare & Record<string, unknown>>(sql`
    with theirs as (
      select distinct on (s.grantee_id) s.* from record_shares s
      where s.tenant_id = ${tx.ctx.tenantId} and s.record_type = ${type} and s.record_id = any(${merged}::uuid[])
      order by s.grantee_id, s.access desc, s.shared_at
    ), old as materialized (
      select s.grantee_id, s.access from record_shares s
      where s.tenant_id = ${tx.ctx.tenantId} and s.record_type = ${type} and s.record_id = ${survivorId}
    ), carried as (
      insert into record_shares as s (tenant_id, record_type, record_id, grantee_id, grantee_type, access, shared_by_id, shared_at)
      select t.tenant_id, t.record_type, ${survivorId}, t.grantee_id, t.grantee_type, t.access, t.shared_by_id, t.shared_at from theirs t
      on conflict (tenant_id, record_type, record_id, grantee_id) do update set access = excluded.access
        where s.access = 'read' and excluded.access = 'write'
      returning s.grantee_type, s.grantee_id, s.access
    )
    select c.grantee_type as kind, c.grantee_id as "granteeId", o.access as before, c.access as after
    from carried c left join old o on o.grantee_id = c.grantee_id order by c.grantee_id`)
}

/**
 * Takes back what merges gave of shares when records come back, which stand for the survivor no longer: what is still as the
 * merge left it becomes what it was, or what those that stay merged ask for.
 */
export async function returnShares(
  tx: Tx,
  type: string,
  carried: readonly CarriedShare[],
  survivorId: string,
): Promise<void> {
  if (carried.length === 0) return
  await tx.query(sql`
    with wanted as materialized (
      select w."granteeId" as id, w.after, greatest(w.before, (
        select max(s.access) from record_aliases a join record_shares s
          on s.tenant_id = a.tenant_id and s.record_type = a.record_type and s.record_id = a.id
        where a.tenant_id = ${tx.ctx.tenantId} and a.record_type = ${type} and a.target_id = ${survivorId}
          and s.grantee_id = w."granteeId")) as access
      from jsonb_to_recordset(${JSON.stringify(carried)}::jsonb) as w("granteeId" uuid, before text, after text)
    ), gone as (
      delete from record_shares s using wanted w
      where s.tenant_id = ${tx.ctx.tenantId} and s.record_type = ${type} and s.record_id = ${survivorId}
        and s.grantee_id = w.id and s.access = w.after and w.access is null
    )
    update record_shares s set access = w.access from wanted w
    where s.tenant_id = ${tx.ctx.tenantId} and s.record_type = ${type} and s.record_id = ${survivorId}
      and s.grantee_id = w.id and s.access = w.after and w.access <> w.after`)
}

/** What the timeline says of shares that a merge gave. */
export function carriedChange(carried: readonly CarriedShare[]): Change[] {
  if (carried.length === 0) return []
  const told = ({ kind, granteeId }: CarriedShare, access: Access) => ({
    [kind === 'user' ? 'userId' : 'teamId']: granteeId,
    access,
  })
  const oldValue = carried.flatMap((share) => (share.before === null ? [] : [told(share, share.before)]))
  return [{ field: 'sharedWith', oldValue, newValue: carried.map((share) => told(share, share.after)) }]
}
