import sql, { empty, raw, type Sql } from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { timeSql } from '../../kernel/db/print-time.ts'
import type { Machine, MachineKind } from './machine.ts'

/** Machines of a kind that are not revoked, newest first, after a place. */
export const listMachines = (
  tx: Tx,
  kind: MachineKind,
  { after, limit }: { after: string | null; limit: number },
): Promise<Machine[]> =>
  tx.query<Machine>(sql`
    select ${members} from machines m
    where m.tenant_id = ${tx.ctx.tenantId} and m.kind = ${kind} and m.revoked_at is null
      ${after === null ? empty : sql`and m.id < ${after}::uuid`}
    order by m.id desc limit ${limit}`)

/** One machine; undefined when it is revoked or was never there. */
export async function findMachine(tx: Tx, kind: MachineKind, id: string): Promise<Machine | undefined> {
  const [found] = await tx.query<Machine>(sql`
    select ${members} from machines m
    where m.tenant_id = ${tx.ctx.tenantId} and m.kind = ${kind} and m.id = ${id} and m.revoked_at is null`)
  return found
}

const told = (column: string): Sql => raw(timeSql(column))

const members: Sql = sql`
  m.id, m.name, m.scopes, m.allowed_addresses as "allowedAddresses", m.created_by_id as "createdById",
  ${told('m.created_at')} as "createdAt", ${told('m.expires_at')} as "expiresAt",
  ${told('m.last_used_at')} as "lastUsedAt", m.last_used_address as "lastUsedAddress",
  (select s.prefix from machine_secrets s where s.tenant_id = m.tenant_id and s.machine_id = m.id
   order by s.expires_at desc nulls first limit 1) as prefix,
  coalesce((select json_agg(json_build_object('prefix', s.prefix, 'expiresAt', ${told('s.expires_at')}) order by s.expires_at desc)
            from machine_secrets s where s.tenant_id = m.tenant_id and s.machine_id = m.id and s.expires_at > now()), '[]') as rotating`

/** A machine that may act now, as one of its secrets finds it. */
export interface LiveMachine {
  readonly id: string
  readonly kind: MachineKind
  readonly name: string
  readonly scopes: readonly string[]
  readonly allowedAddresses: readonly string[]
  readonly createdById: string
  readonly expiresAt: Date | null
  readonly lastUsedAt: Date | null
}

/** A machine that is neither revoked nor expired; with a prefix only while that secret of it is good. */
export async function findLive(tx: Tx, id: string, prefix: string | null): Promise<LiveMachine | undefined> {
  const [found] = await tx.query<LiveMachine>(sql`
    select m.id, m.kind, m.name, m.scopes, m.allowed_addresses as "allowedAddresses", m.created_by_id as "createdById",
      least(m.expires_at, s.expires_at) as "expiresAt", m.last_used_at as "lastUsedAt"
    from machines m left join machine_secrets s on s.tenant_id = m.tenant_id and s.machine_id = m.id and s.prefix = ${prefix}
    where m.tenant_id = ${tx.ctx.tenantId} and m.id = ${id} and m.revoked_at is null
      and (${prefix}::text is null or s.prefix is not null)
      and (m.expires_at is null or m.expires_at > now()) and (s.expires_at is null or s.expires_at > now())`)
  return found
}
