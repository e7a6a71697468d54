import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { notFound } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import { newId } from '../../kernel/ids.ts'
import { findMachine } from './machine.queries.ts'
import type { Machine, MachineKind, NewMachine } from './machine.ts'
import { makeSecret, type Secret } from './secret.ts'

/** A machine with the secret that is shown once. */
export interface Made {
  readonly machine: Machine
  readonly secret: string
}

/** Makes a machine with its first secret. */
export async function makeMachine(tx: Tx, kind: MachineKind, values: NewMachine): Promise<Made> {
  const id = newId()
  const secret = makeSecret(kind)
  const { name, scopes, expiresAt = null, allowedAddresses = [] } = values
  await tx.query(sql`
    insert into machines (tenant_id, id, kind, name, scopes, allowed_addresses, expires_at, created_by_id)
    values (${tx.ctx.tenantId}, ${id}, ${kind}, ${name}, ${[...new Set(scopes)]}, ${allowedAddresses}, ${expiresAt}, ${tx.ctx.actor.id})`)
  await keepSecret(tx, id, secret)
  return tell(tx, kind, 'created', id, secret)
}

/** Gives a machine another secret; those it has stay good for the overlap, and no longer than they were. */
export async function rotateSecret(tx: Tx, kind: MachineKind, id: string, overlapHours: number): Promise<Made> {
  await lock(tx, kind, id)
  const secret = makeSecret(kind)
  await tx.query(sql`
    delete from machine_secrets where tenant_id = ${tx.ctx.tenantId} and machine_id = ${id}
      and (${overlapHours === 0} or expires_at <= now())`)
  await tx.query(sql`
    update machine_secrets set expires_at = least(expires_at, now() + make_interval(secs => ${overlapHours * 3600}))
    where tenant_id = ${tx.ctx.tenantId} and machine_id = ${id}`)
  await keepSecret(tx, id, secret)
  return tell(tx, kind, 'rotated', id, secret)
}

/** Ends a machine with all its secrets; its sockets close within a second. */
export async function revokeMachine(tx: Tx, kind: MachineKind, id: string): Promise<void> {
  await lock(tx, kind, id)
  const machine = await findMachine(tx, kind, id)
  await tx.query(sql`delete from machine_secrets where tenant_id = ${tx.ctx.tenantId} and machine_id = ${id}`)
  await tx.query(sql`update machines set revoked_at = now() where tenant_id = ${tx.ctx.tenantId} and id = ${id}`)
  await appendEvents(tx, [
    { name: `${kind}.revoked`, type: kind, recordId: id, record: { id, name: machine?.name, prefix: machine?.prefix } },
  ])
}

/** Two who rotate at once take turns: else one would not end the other's secret. */
async function lock(tx: Tx, kind: MachineKind, id: string): Promise<void> {
  const rows = await tx.query(sql`
    select 1 from machines where tenant_id = ${tx.ctx.tenantId} and kind = ${kind} and id = ${id} and revoked_at is null for update`)
  if (rows.length === 0) throw notFound()
}

const keepSecret = (tx: Tx, id: string, { prefix, hash }: Secret): Promise<unknown> =>
  tx.query(sql`
    insert into machine_secrets (tenant_id, machine_id, prefix, hash) values (${tx.ctx.tenantId}, ${id}, ${prefix}, ${hash})`)

async function tell(
  tx: Tx,
  kind: MachineKind,
  verb: 'created' | 'rotated',
  id: string,
  { text }: Secret,
): Promise<Made> {
  const machine = await findMachine(tx, kind, id)
  if (!machine) throw notFound()
  const { name, prefix, scopes, allowedAddresses, expiresAt } = machine
  const record = { id, name, prefix, scopes, allowedAddresses, expiresAt }
  await appendEvents(tx, [{ name: `${kind}.${verb}`, type: kind, recordId: id, record }])
  return { machine, secret: text }
}
