import type { Ctx } from '../context.ts'
import type { Tx } from '../db/database.ts'
import { duplicate, invalid, type Problem } from '../errors.ts'
import { laneNumber, signature } from '../events/append.ts'
import { lockOf } from '../http/idempotency.ts'
import type { Key } from '../http/idempotency-key.ts'
import { newId } from '../ids.ts'
import type { CustomWrite } from './custom.ts'
import type { Entity } from './define.ts'

/** Members of a record by name. */
export type Values = Readonly<Record<string, unknown>>

/** The members that a request may set. */
export const writableOf = (entity: Entity): string[] =>
  Object.entries(entity.all)
    .filter(([, field]) => !field.readOnly)
    .map(([name]) => name)

/** The parameters of a write: who, when and for whom; the members; and what the side tables take. */
export function writeParameters(
  tx: Tx,
  entity: Entity,
  values: Values,
  custom: CustomWrite | null,
  data: Values,
): Record<string, unknown> {
  return { ...signed(tx, data), ...members(entity, values), ...sides(entity, values, custom) }
}

/** The parameters of an idempotency key that commits with its create. */
export function keyParameters(tx: Tx, key: Key, location: string): Record<string, unknown> {
  return {
    keyMethod: key.method,
    keyPath: key.path,
    key: key.key,
    keyHash: key.bodyHash,
    keyLock: lockOf(tx.ctx, key),
    location,
  }
}

/** Throws what {@link unresolved} says, unless all references resolve. */
export function refuseMissing(missing: readonly string[]): void {
  if (missing.length > 0) throw unresolved(missing)
}

/** 400 that names the members whose references do not resolve. */
export const unresolved = (missing: readonly string[]): Problem =>
  invalid(
    missing.map((path) => ({ path, message: 'must refer to records that you may read', code: 'invalid_reference' })),
  )

/** The constraint that a statement ran into. */
export const constraintOf = (error: unknown): string | undefined =>
  error instanceof Error && 'constraint' in error && typeof error.constraint === 'string' ? error.constraint : undefined

/** A clash of custom values is told by the column of the side table; the caller knows it as a custom field. */
export function translated(error: unknown): unknown {
  if (constraintOf(error) === 'custom_values_unique')
    return duplicate('customFields', 'a unique custom field has a value that another record has')
  if (constraintOf(error)?.endsWith('_external_id'))
    return duplicate('externalId', 'externalId is taken by another record')
  return error
}

/** Custom values as they are stored: what is cleared is not there. */
export const withoutNulls = (values: Values): Values =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null))

/** The parameters that say who, when and for whom. */
export function signed(tx: Tx, data: Values): Record<string, unknown> {
  const { ctx } = tx
  const { actor, requestId, operationId, ip, userAgent } = signature(ctx)
  return {
    tenant: ctx.tenantId,
    actor: actor.id,
    owner: ownerOf(ctx),
    actorJson: JSON.stringify(actor),
    eventId: newId(),
    lane: laneNumber(ctx.lane),
    requestId,
    operationId,
    ip: ip ?? null,
    userAgent: userAgent ?? null,
    data: JSON.stringify(data),
  }
}

/** To whom a record falls that names nobody: what a table or a key brings is his who brought it; a service and the system are nobody. */
export function ownerOf({ actor, rights }: Ctx): string | null {
  if (actor.type !== 'user' && actor.type !== 'import' && actor.type !== 'api_key') return null
  return rights.role === 'service' || rights.userId === '' ? null : rights.userId
}

function members(entity: Entity, values: Values): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(entity.all)) {
    const value = values[name]
    if (value !== undefined && value !== null) result[name] = field.bind ? field.bind(value) : value
  }
  return result
}

function sides(entity: Entity, values: Values, custom: CustomWrite | null): Record<string, unknown> {
  const names = entity.all.tags && Array.isArray(values.tags) ? values.tags : []
  return {
    tagNames: names,
    tagIds: names.map(() => newId()),
    customRows: JSON.stringify(custom?.rows ?? []),
    customTouched: custom?.touched ?? [],
    ...customUsers(custom),
  }
}

/** Whether custom values refer to users. */
export const hasUsers = (custom: CustomWrite | null): boolean => Object.keys(custom?.users ?? {}).length > 0

/** The parameters that name the users of custom values. */
export const customUsers = (custom: CustomWrite | null): { customUsers: string[]; customUserKeys: string[] } => ({
  customUsers: Object.values(custom?.users ?? {}),
  customUserKeys: Object.keys(custom?.users ?? {}),
})
