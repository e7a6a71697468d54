import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { contact } from '../../entities/contacts/contact.entity.ts'
import { task } from '../../entities/tasks/task.entity.ts'
import { pageOf } from '../http/page.ts'
import { type Route, route } from '../http/route.ts'
import { apart, excerpt, sight } from '../sight.ts'
import { masking } from './masking.ts'
import { createRegistry } from './registry.ts'

const registry = createRegistry([contact, task], {})
const answering = (schema: z.ZodType | null, more: object = {}): Route =>
  route({
    method: 'get',
    path: '/planted',
    operationId: 'planted',
    summary: 'A route of which nobody thought',
    tag: 'planted',
    responses: { 200: { description: 'Something', schema, ...more } },
    handle: async () => ({ status: 200, body: {} }),
  })

describe('a route whose answer may hold members of records without a mask', () => {
  const { shape } = contact.recordSchema as z.ZodObject
  test.each([
    ['a text', z.object({ why: z.string() }), 'all'],
    ['a number', z.object({ ...contactOf(), total: z.number() }), 'total'],
    ['anything', z.object({ contact: contact.recordSchema, also: z.unknown() }), 'also'],
    ['more than it declares', z.object({ contact: contact.recordSchema }).catchall(z.unknown()), '.*'],
    ['a record of texts', z.record(z.string(), z.unknown()), 'all'],
    ['a part of a record', z.object({ ...contactOf(), data: z.array(z.object({ email: shape.email })) }), 'data[]'],
    ['what is picked of a record', (contact.recordSchema as z.ZodObject).pick({ email: true, phone: true }), 'all'],
    ['a record all of whose members may be absent', (contact.recordSchema as z.ZodObject).partial(), 'all'],
    ['what is made of a record', contact.recordSchema.pipe(z.transform((value) => value)), 'all'],
    ['what comes late', z.object({ contact: z.lazy(() => z.object({ email: z.string() })) }), 'all'],
    ['what has a default', z.object({ email: z.string().default('') }), 'all'],
    ['one of two', z.union([contact.recordSchema, z.object({ email: z.string() })]), 'all'],
    ['one after the other', z.tuple([contact.recordSchema, z.string()]), '[1]'],
    [
      'what extends an excerpt',
      z.object({ id: z.uuid() }).register(sight, excerpt('contact')).extend({ email: z.string() }),
      'all',
    ],
  ])('is refused at the start: %s', (_what, schema, place) => {
    expect(() => masking(registry, [answering(schema)])).toThrow(`GET /planted 200: ${place.replace(/^\./, '')}`)
  })

  test('is refused too when it is no JSON', () => {
    expect(() => masking(registry, [answering(null, { type: 'text/csv' })])).toThrow('GET /planted 200: text/csv')
    expect(masking(registry, [answering(null, { type: 'text/csv', apart: true })])).toHaveLength(1)
  })

  test('is none when all of it says what it is', () => {
    const schemas = [
      pageOf(contact.shownSchema),
      z.object({ data: z.array(task.recordSchema), more: z.int().register(sight, apart).optional() }),
      (contact.recordSchema as z.ZodObject).extend({ unmerged: z.array(z.uuid()).register(sight, apart) }),
      z.object({ type: z.string(), email: z.string().optional() }).register(sight, excerpt()).nullable(),
    ]
    expect(
      masking(
        registry,
        schemas.map((schema) => answering(schema)),
      ),
    ).toHaveLength(schemas.length)
  })
})

function contactOf() {
  return { contact: contact.recordSchema }
}
