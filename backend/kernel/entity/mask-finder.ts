import { z } from 'zod'
import { isObject, type Mask, sightOf } from '../sight.ts'
import { maskRecord } from './field-rules.ts'
import type { Registry } from './registry.ts'

/** How a value of a schema is masked (null: not at all), and of which of its parts nothing says so. */
export interface Found {
  readonly mask: Mask | null
  readonly unsaid: readonly string[]
}

/**
 * Finds how values of a schema are masked: records, what has said so (`sight.ts`), and what is put together of these. Of all
 * else, be it a text or a number, nothing tells whether it is a member of a record: it is unsaid.
 */
export function createMaskFinder(registry: Registry): (schema: z.ZodType) => Found {
  const known = new Map<z.ZodType, Found>()
  // A schema that extends that of a record holds the same members.
  const byMember = new Map<unknown, { readonly shape: z.ZodRawShape; readonly mask: Mask }>()
  for (const entity of registry.entities.values()) {
    const mask: Mask = (rights, value) => (isObject(value) ? maskRecord(registry, entity, rights, value) : value)
    known.set(entity.recordSchema, { mask, unsaid: [] })
    known.set(entity.shownSchema, { mask, unsaid: [] })
    if (!(entity.recordSchema instanceof z.ZodObject)) continue
    const { shape } = entity.recordSchema
    byMember.set(shape.createdAt, { shape, mask })
  }

  const find = (schema: z.ZodType): Found => {
    const said = sightOf(schema)
    if (said) return { mask: said.mask, unsaid: [] }
    const found = known.get(schema)
    if (found) return found
    // What holds itself says no more than it did before.
    known.set(schema, { mask: null, unsaid: [] })
    const whole = look(schema)
    known.set(schema, whole)
    return whole
  }

  const look = (schema: z.ZodType): Found => {
    if (schema instanceof z.ZodLiteral || schema instanceof z.ZodNull || schema instanceof z.ZodNever) return nothing
    if (schema instanceof z.ZodObject) return ofObject(schema)
    if (schema instanceof z.ZodArray) {
      const { mask, unsaid } = find(schema.element as z.ZodType)
      const each: Mask = (rights, value) => (Array.isArray(value) ? value.map((item) => mask?.(rights, item)) : value)
      return { mask: mask && each, unsaid: within('[]', unsaid) }
    }
    if (schema instanceof z.ZodTuple && schema.def.rest === null) {
      const items = schema.def.items.map((item) => find(item as z.ZodType))
      const each: Mask = (rights, value) =>
        Array.isArray(value) ? value.map((item, index) => items[index]?.mask?.(rights, item) ?? item) : value
      const unsaid = items.flatMap((item, index) => within(`[${index}]`, item.unsaid))
      return { mask: items.some(({ mask }) => mask) ? each : null, unsaid }
    }
    if (schema instanceof z.ZodNullable || schema instanceof z.ZodOptional) return find(schema.unwrap() as z.ZodType)
    if (schema instanceof z.ZodUnion) return together(schema.options.map((option) => find(option as z.ZodType)))
    if (schema instanceof z.ZodIntersection)
      return together([schema.def.left, schema.def.right].map((part) => find(part as z.ZodType)))
    return { mask: null, unsaid: [''] }
  }

  const ofObject = ({ shape, def }: z.ZodObject): Found => {
    const record = byMember.get(shape.createdAt)
    const members = Object.entries(shape)
      .filter(([name, member]) => record?.shape[name] !== member)
      .map(([name, member]) => [name, find(member as z.ZodType)] as const)
    const others = def.catchall && !(def.catchall instanceof z.ZodNever) ? ['.*'] : []
    const whole = !record && members.length > 0 && members.every(([, found]) => found === nothing || isWhole(found))
    const unsaid = whole ? [''] : [...members.flatMap(([name, found]) => within(`.${name}`, found.unsaid)), ...others]
    const masks = members.flatMap(([name, { mask }]) => (mask ? [[name, mask] as const] : []))
    if (masks.length === 0) return { mask: record?.mask ?? null, unsaid }
    const mask: Mask = (rights, value) => {
      const whole = record ? record.mask(rights, value) : value
      if (!isObject(whole)) return whole
      const shown = masks.filter(([name]) => name in whole).map(([name, one]) => [name, one(rights, whole[name])])
      return { ...whole, ...Object.fromEntries(shown) }
    }
    return { mask, unsaid }
  }

  return find
}

const nothing: Found = { mask: null, unsaid: [] }

/** Whether nothing is said of any part of it. */
const isWhole = ({ unsaid }: Found): boolean => unsaid.some((place) => place === '' || place === '[]')

const within = (place: string, unsaid: readonly string[]): string[] => unsaid.map((path) => `${place}${path}`)

/** Of a value that may be this or that: each of them masks it. */
function together(parts: readonly Found[]): Found {
  const masks = parts.flatMap(({ mask }) => mask ?? [])
  const mask: Mask = (rights, value) => masks.reduce((rest, one) => one(rights, rest), value)
  return { mask: masks.length === 0 ? null : mask, unsaid: [...new Set(parts.flatMap(({ unsaid }) => unsaid))] }
}
