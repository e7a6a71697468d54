import sql from 'sql-template-tag'
import type { WorkerTx } from '../../kernel/db/database.ts'

/** What the rules must know of the users of a tenant. */
export interface People {
  /** Whether a user is still there: deactivated and deleted ones are told nothing. */
  isActive(id: string): boolean
  managerOf(id: string): string | null
}

/** A user of a tenant. */
export interface Person {
  readonly tenantId: string
  readonly id: string
}

/** Looks users up with their managers, of all tenants at once. */
export async function findPeople(db: WorkerTx, wanted: readonly Person[]): Promise<(tenantId: string) => People> {
  const active = new Set<string>()
  const managers = new Map<string, string>()
  for (const user of wanted.length === 0 ? [] : await readUsers(db, wanted)) {
    if (user.active) active.add(keyOf(user))
    if (user.managerId === null) continue
    managers.set(keyOf(user), user.managerId)
    if (user.managerActive) active.add(keyOf({ tenantId: user.tenantId, id: user.managerId }))
  }
  return (tenantId) => ({
    isActive: (id) => active.has(keyOf({ tenantId, id })),
    managerOf: (id) => managers.get(keyOf({ tenantId, id })) ?? null,
  })
}

interface User extends Person {
  readonly active: boolean
  readonly managerId: string | null
  readonly managerActive: boolean
}

async function readUsers(db: WorkerTx, wanted: readonly Person[]): Promise<User[]> {
  return db.query<User>(sql`
    select u.tenant_id as "tenantId", u.id, u.active and u.deleted_at is null as active, u.manager_id as "managerId",
           coalesce(m.active and m.deleted_at is null, false) as "managerActive"
    from (select distinct w."tenantId", w.id
          from jsonb_to_recordset(${JSON.stringify(wanted)}::jsonb) as w("tenantId" uuid, id uuid)) w
    join users u on u.tenant_id = w."tenantId" and u.id = w.id
    left join users m on m.tenant_id = u.tenant_id and m.id = u.manager_id`)
}

const keyOf = ({ tenantId, id }: Person): string => `${tenantId} ${id}`
