import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { password } from '../../test/cast.ts'
import type { Client } from '../../test/client.ts'
import { errorsOf, importTable, sendTable } from '../../test/tables.ts'

let house: TestApp
/** Each story has a tenant of its own that may have five contacts, two members and a kilobyte. */
let tess: Client

beforeAll(async () => {
  const tiny = { contacts: 5, users: 2, storageBytes: 1024 }
  house = await startTestApp({ environment: { PLANS: JSON.stringify({ tiny }), DEFAULT_PLAN: 'tiny' } })
})
afterAll(() => house.stop())
beforeEach(async () => {
  tess = await house.found('Tiny', 'Tess')
})

const usage = async () => (await tess.get('/tenant')).body.usage
const fill = async (count: number) => {
  for (let made = 0; made < count; made++) await tess.build('contact')
}

describe('contacts', () => {
  test('are refused when the plan has no more, with the numbers', async () => {
    await fill(5)
    const { status, body } = await tess.post('/contacts', { firstName: 'Sixth' })
    expect([status, body.code]).toEqual([403, 'PLAN_LIMIT_REACHED'])
    expect(body).toMatchObject({ limit: 'contacts', used: 5, allowed: 5 })
    expect(await usage()).toMatchObject({ contacts: 5 })
    expect((await tess.post('/companies', { name: 'Engines' })).status).toBe(201)
  })

  test('that are deleted make room, and come back only while there is some', async () => {
    await fill(4)
    const { id } = await tess.build('contact')
    expect((await tess.delete(`/contacts/${id}`)).status).toBe(204)
    expect(await usage()).toMatchObject({ contacts: 4 })
    await fill(1)
    expect((await tess.post(`/contacts/${id}/restore`)).body.code).toBe('PLAN_LIMIT_REACHED')
    const [other] = (await tess.get('/contacts')).body.data
    await tess.delete(`/contacts/${other.id}`)
    expect((await tess.post(`/contacts/${id}/restore`)).status).toBe(200)
    expect((await tess.patch(`/contacts/${id}`, { firstName: 'Full' })).status).toBe(200)
  })

  test('made by many at once are as many as the plan allows', async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) => tess.post('/contacts', { firstName: `No. ${index}` })),
    )
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(5)
    expect(answers.filter(({ body }) => body.code === 'PLAN_LIMIT_REACHED')).toHaveLength(7)
    expect((await tess.get('/contacts?count=exact')).body.page.total).toBe(5)
    expect(await usage()).toMatchObject({ contacts: 5 })
  })

  test('are bounded in bulk, by upsert and by converting a lead', async () => {
    await fill(3)
    const operations = Array.from({ length: 4 }, () => ({ op: 'create', data: { firstName: 'Bulk' } }))
    const whole = await tess.post('/contacts/bulk', { operations, atomic: true })
    expect([whole.status, whole.body.code]).toEqual([403, 'PLAN_LIMIT_REACHED'])
    const { body } = await tess.post('/contacts/bulk', { operations })
    expect(body.results.map(({ status }: { status: number }) => status)).toEqual([201, 201, 403, 403])
    expect(body.results[2].problem).toMatchObject({ code: 'PLAN_LIMIT_REACHED', used: 5 })
    expect((await tess.put(`/contacts/by-external-id/${randomUUID()}`, { firstName: 'Up' })).status).toBe(403)
    const lead = await tess.build('lead')
    const refused = await tess.post(`/leads/${lead.id}/convert`)
    expect([refused.status, refused.body.code]).toEqual([403, 'PLAN_LIMIT_REACHED'])
    expect((await tess.get(`/leads/${lead.id}`)).body.status).toBe('new')
    expect(await usage()).toMatchObject({ contacts: 5 })
  })

  test('of a table come in up to the limit, and the rest is told row by row', async () => {
    await fill(2)
    const table = ['firstName', 'a', 'b', 'c', 'd', 'e'].join('\n')
    const done = await importTable(tess, `${table}\n`, { resource: 'contacts' })
    expect(done).toMatchObject({ status: 'completed', created: 3, failed: 2 })
    expect((await errorsOf(tess, done.id)).join()).toContain('Your plan allows 5 contacts')
    expect(await usage()).toMatchObject({ contacts: 5 })
  })
})

describe('members', () => {
  const newcomer = () => ({ name: 'Grace', email: `grace.${randomUUID()}@example.com`, password })

  test('are refused when the plan has no more, and who leaves makes room', async () => {
    const first = await tess.post('/users', newcomer())
    expect(first.status).toBe(201)
    expect((await tess.post('/users', newcomer())).body).toMatchObject({ code: 'PLAN_LIMIT_REACHED', limit: 'users' })
    await tess.patch(`/users/${first.body.id}`, { active: false })
    const second = await tess.post('/users', newcomer())
    expect(second.status).toBe(201)
    expect((await tess.patch(`/users/${first.body.id}`, { active: true })).body.code).toBe('PLAN_LIMIT_REACHED')
    await tess.delete(`/users/${second.body.id}`)
    expect((await tess.patch(`/users/${first.body.id}`, { active: true })).status).toBe(200)
  })
})

describe('files', () => {
  test('are kept as far as the plan has room', async () => {
    const small = `firstName\n${'Ada\n'.repeat(3)}`
    await importTable(tess, small, { resource: 'contacts' })
    expect(await usage()).toMatchObject({ storageBytes: small.length })
    const { status, body } = await sendTable(tess, `firstName\n${'Ada\n'.repeat(300)}`, { resource: 'contacts' })
    expect([status, body.code, body.limit]).toEqual([403, 'PLAN_LIMIT_REACHED', 'storageBytes'])
    expect(await usage()).toMatchObject({ storageBytes: small.length })
  })
})
