import { z } from 'zod'
import { Problem } from '../errors.ts'
import { type Answer, JsonText, type PrivateRoute, type Route } from '../http/route.ts'
import type { Rights } from '../rights.ts'
import { isObject, type Mask, markOf } from '../sight.ts'
import type { Entity } from './define.ts'
import { seenMembers } from './field-rules.ts'
import type { Registry } from './registry.ts'

/**
 * Takes the members that a caller's role hides out of every answer. Where records stand in an answer follows from the
 * schema that its route declares, so that no route can forget it.
 */
export function masking(registry: Registry, routes: readonly Route[]): Route[] {
  const finder = createFinder(registry)
  return routes.map((route) => {
    if (route.access === 'public' || route.access === 'operator') return route
    const masks = new Map<number, Mask>()
    for (const [status, { schema }] of Object.entries(route.responses)) {
      const mask = schema && finder(schema)
      if (mask) masks.set(Number(status), mask)
    }
    const { handle } = route as PrivateRoute
    return {
      ...(route as PrivateRoute),
      handle: async (ctx, request) => {
        const answer = await handle(ctx, request).catch((error: unknown) => {
          throw maskedProblem(error, ctx.rights)
        })
        const mask = ctx.rights.fields && masks.get(answer.status)
        return mask ? maskedAnswer(answer, ctx.rights, mask) : answer
      },
    }
  })
}

/** A problem with what it tells of records, as far as somebody sees it. */
function maskedProblem(error: unknown, rights: Rights): unknown {
  if (!(error instanceof Problem) || Object.keys(error.told).length === 0) return error
  const { status, code, message, errors, headers, told } = error
  const shown = Object.entries(told).map(([name, { value, mask }]) => [name, mask(rights, value)])
  const extra = { ...error.extra, ...Object.fromEntries(shown) }
  return new Problem(status, code, message, {
    ...(errors ? { errors } : {}),
    headers: { ...headers },
    extra,
    cause: error,
  })
}

function maskedAnswer(answer: Answer, rights: Rights, mask: Mask): Answer {
  const { body } = answer
  if (body === undefined) return answer
  return { ...answer, body: mask(rights, body instanceof JsonText ? JSON.parse(body.json) : body) }
}

/** A record without the members that are hidden, also in the records that are included in it. */
export function maskRecord(
  registry: Registry,
  entity: Entity,
  rights: Pick<Rights, 'fields'>,
  value: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const shown = Object.entries(seenMembers(rights.fields?.(entity.type), value))
  const included = new Map(
    Object.values(entity.all).flatMap(({ include, ref }) => {
      const target = ref === undefined ? undefined : registry.entities.get(ref)
      return include !== undefined && target ? [[include, target] as const] : []
    }),
  )
  return Object.fromEntries(
    shown.map(([name, member]) => {
      const target = included.get(name)
      if (!target) return [name, member]
      const one = (record: unknown) => (isObject(record) ? maskRecord(registry, target, rights, record) : record)
      return [name, Array.isArray(member) ? member.map(one) : one(member)]
    }),
  )
}

/** Finds what is to be masked in values of a schema; null: nothing. */
function createFinder(registry: Registry): (schema: z.ZodType) => Mask | null {
  const known = new Map<z.ZodType, Mask | null>()
  // A schema that extends that of a record holds the same member.
  const byMember = new Map<unknown, Mask>()
  for (const entity of registry.entities.values()) {
    const mask: Mask = (rights, value) => (isObject(value) ? maskRecord(registry, entity, rights, value) : value)
    known.set(entity.recordSchema, mask)
    known.set(entity.shownSchema, mask)
    if (entity.recordSchema instanceof z.ZodObject) byMember.set(entity.recordSchema.shape.createdAt, mask)
  }
  const find = (schema: z.ZodType): Mask | null => {
    const mark = markOf(schema)
    if (mark !== undefined) return mark === 'apart' ? null : mark
    const found = known.get(schema)
    if (found !== undefined) return found
    // A schema that holds itself has nothing to mask before it is known.
    known.set(schema, null)
    const mask = partsOf(schema)
    known.set(schema, mask)
    return mask
  }
  const partsOf = (schema: z.ZodType): Mask | null => {
    if (schema instanceof z.ZodObject) return ofObject(schema)
    if (schema instanceof z.ZodArray) {
      const mask = find(schema.element as z.ZodType)
      return mask && ((rights, value) => (Array.isArray(value) ? value.map((item) => mask(rights, item)) : value))
    }
    if (schema instanceof z.ZodTuple) {
      const items = schema.def.items.map((item) => find(item as z.ZodType))
      if (items.every((mask) => mask === null)) return null
      return (rights, value) =>
        Array.isArray(value) ? value.map((item, index) => items[index]?.(rights, item) ?? item) : value
    }
    if (schema instanceof z.ZodNullable || schema instanceof z.ZodOptional) return find(schema.unwrap() as z.ZodType)
    if (schema instanceof z.ZodUnion) {
      const masks = schema.options.flatMap((option) => find(option as z.ZodType) ?? [])
      return masks.length === 0 ? null : (rights, value) => masks.reduce((rest, mask) => mask(rights, rest), value)
    }
    return null
  }
  const ofObject = (schema: z.ZodObject): Mask | null => {
    const { shape } = schema
    const extended = byMember.get(shape.createdAt)
    const members = Object.entries(shape).flatMap(([name, member]) => {
      const mask = find(member as z.ZodType)
      return mask ? [[name, mask] as const] : []
    })
    if (members.length === 0) return extended ?? null
    return (rights, value) => {
      const whole = extended ? extended(rights, value) : value
      if (!isObject(whole)) return whole
      const masked = members.filter(([name]) => name in whole).map(([name, mask]) => [name, mask(rights, whole[name])])
      return { ...whole, ...Object.fromEntries(masked) }
    }
  }
  return find
}
