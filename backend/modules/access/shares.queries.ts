import sql, { raw } from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { timeSql } from '../../kernel/db/print-time.ts'

/** With whom something can be shared. */
export interface Grantee {
  readonly kind: 'user' | 'team'
  readonly id: string
}

/** A share of a record, with what its grantee is called. */
export interface GrantedShare extends Grantee {
  readonly name: string
  readonly access: 'read' | 'write'
  readonly sharedById: string | null
  readonly sharedAt: string
}

/** With whom a record is shared, by name. */
export function readShares(tx: Tx, type: string, id: string): Promise<GrantedShare[]> {
  return tx.query<GrantedShare>(sql`
    select s.grantee_type as kind, s.grantee_id as id, coalesce(u.name, t.name, '') as name, s.access,
      s.shared_by_id as "sharedById", ${raw(timeSql('s.shared_at'))} as "sharedAt"
    from record_shares s
    left join users u on u.tenant_id = s.tenant_id and u.id = s.grantee_id and s.grantee_type = 'user'
    left join teams t on t.tenant_id = s.tenant_id and t.id = s.grantee_id and s.grantee_type = 'team'
    where s.tenant_id = ${tx.ctx.tenantId} and s.record_type = ${type} and s.record_id = ${id}
    order by 3, 2`)
}
