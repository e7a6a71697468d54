import { z } from 'zod'
import { type Answer, JsonText, type PrivateRoute, type Route } from '../http/route.ts'
import type { Rights } from '../rights.ts'
import type { Entity } from './define.ts'
import { seenMembers } from './field-rules.ts'
import type { Registry } from './registry.ts'

/** Gives a value without what somebody does not see. */
export type Mask = (rights: Rights, value: unknown) => unknown

/**
 * Takes the members that a caller's role hides out of every answer. Where records stand in an answer follows from the
 * schema that its route declares, so that no route can forget it; `special` are schemas of what is no record itself.
 */
export function masking(registry: Registry, special: ReadonlyMap<z.ZodType, Mask>, routes: readonly Route[]): Route[] {
  const finder = createFinder(registry, special)
  return routes.map((route) => {
    if (route.access === 'public' || route.access === 'operator') return route
    const masks = new Map<number, Mask>()
    for (const [status, { schema }] of Object.entries(route.responses)) {
      const mask = schema && finder(schema)
      if (mask) masks.set(Number(status), mask)
    }
    if (masks.size === 0) return route
    const { handle } = route as PrivateRoute
    return {
      ...(route as PrivateRoute),
      handle: async (ctx, request) => {
        const answer = await handle(ctx, request)
        const mask = ctx.rights.fields && masks.get(answer.status)
        return mask ? maskedAnswer(answer, ctx.rights, mask) : answer
      },
    }
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
  rights: Rights,
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
function createFinder(registry: Registry, special: ReadonlyMap<z.ZodType, Mask>): (schema: z.ZodType) => Mask | null {
  const known = new Map<z.ZodType, Mask | null>(special)
  // A schema that extends that of a record holds the same member.
  const byMember = new Map<unknown, Mask>()
  for (const entity of registry.entities.values()) {
    const mask: Mask = (rights, value) => (isObject(value) ? maskRecord(registry, entity, rights, value) : value)
    known.set(entity.recordSchema, mask)
    known.set(entity.shownSchema, mask)
    if (entity.recordSchema instanceof z.ZodObject) byMember.set(entity.recordSchema.shape.createdAt, mask)
  }
  const find = (schema: z.ZodType): Mask | null => {
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

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
