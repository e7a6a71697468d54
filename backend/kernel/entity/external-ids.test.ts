import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'

let house: TestApp
let alice: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice } = house)
})
afterAll(() => house.stop())

const duplicate = { status: 409, code: 'DUPLICATE', errors: [{ path: 'externalId' }] }

describe('an externalId', () => {
  test('is taken once in a resource and a tenant', async () => {
    await alice.build('contact', { externalId: 'crm-1' })
    expect((await alice.post('/contacts', { firstName: 'x', externalId: ' crm-1 ' })).body).toMatchObject(duplicate)
    expect((await alice.post('/contacts', { firstName: 'x', externalId: 'CRM-1' })).status).toBe(201)
    expect((await alice.post('/companies', { name: 'x', externalId: 'crm-1' })).status).toBe(201)
    expect((await house.charlie.post('/contacts', { firstName: 'x', externalId: 'crm-1' })).status).toBe(201)
    const other = await alice.build('contact')
    expect((await alice.patch(`/contacts/${other.id}`, { externalId: 'crm-1' })).body).toMatchObject(duplicate)
    expect((await alice.get(`/contacts/${other.id}`)).body.version).toBe(1)
  })

  test('of a deleted record is free, and a restore onto it is 409', async () => {
    const first = await alice.build('task', { externalId: 'free' })
    await alice.delete(`/tasks/${first.id}`)
    const second = await alice.build('task', { externalId: 'free' })
    expect((await alice.post(`/tasks/${first.id}/restore`)).body).toMatchObject(duplicate)
    expect((await alice.get(`/tasks/${first.id}`)).status).toBe(404)
    await alice.patch(`/tasks/${second.id}`, { externalId: null })
    expect((await alice.post(`/tasks/${first.id}/restore`)).status).toBe(200)
  })
})

describe('an upsert', () => {
  test('creates, then changes like a PATCH', async () => {
    const at = '/companies/by-external-id/erp%2F7'
    const made = await alice.put(at, { name: 'Engines', industry: 'machines', address: { city: 'London' } })
    expect([made.status, made.headers.get('etag')]).toEqual([201, '"1"'])
    expect(made.headers.get('location')).toBe(`/api/v1/companies/${made.body.id}`)
    expect(made.body.externalId).toBe('erp/7')
    const changed = await alice.put(at, { name: 'Engines Ltd', address: { country: 'UK' } })
    expect([changed.status, changed.headers.get('etag')]).toEqual([200, '"2"'])
    expect(changed.body).toMatchObject({
      id: made.body.id,
      name: 'Engines Ltd',
      industry: 'machines',
      address: { city: 'London', country: 'UK' },
    })
    expect((await alice.put(at, { name: 'Engines Ltd' })).body.version).toBe(2)
    expect((await alice.put(at, { externalId: 'erp/7' })).status).toBe(200)
  })

  test('asks on creation for what a create asks for', async () => {
    const answer = await alice.put('/companies/by-external-id/none', { industry: 'x' })
    expect([answer.status, answer.body.errors]).toEqual([400, [expect.objectContaining({ path: 'name' })]])
    for (const externalId of ['other', null, 7]) {
      const differs = await alice.put('/companies/by-external-id/none', { name: 'x', externalId })
      expect([differs.status, differs.body.errors?.[0]?.path]).toEqual([400, 'externalId'])
    }
  })

  test('of which several come at once makes one record', async () => {
    for (let round = 0; round < 5; round++) {
      const sent = Array.from({ length: 4 }, (_none, index) =>
        alice.put(`/deals/by-external-id/race-${round}`, { name: `Deal ${index}`, value: index }),
      )
      const answers = await Promise.all(sent)
      expect(answers.map((answer) => answer.status).sort()).toEqual([200, 200, 200, 201])
      expect(new Set(answers.map((answer) => answer.body.id)).size).toBe(1)
    }
  })

  test('makes a new record when the holder is deleted', async () => {
    const first = await alice.put('/notes/by-external-id/n-1', { body: 'one' })
    await alice.delete(`/notes/${first.body.id}`)
    const second = await alice.put('/notes/by-external-id/n-1', { body: 'two' })
    expect(second.status).toBe(201)
    expect(second.body.id).not.toBe(first.body.id)
  })

  test('honours If-Match, also where there is nothing to match', async () => {
    const at = '/notes/by-external-id/matched'
    for (const tag of ['"1"', '*']) {
      expect((await alice.put(at, { body: 'one' }, { 'If-Match': tag })).status).toBe(412)
      expect((await alice.get('/notes?externalId=matched')).body.data).toEqual([])
    }
    await alice.put(at, { body: 'one' })
    expect((await alice.put(at, { body: 'two' }, { 'If-Match': '"2"' })).status).toBe(412)
    expect((await alice.put(at, { body: 'two' }, { 'If-Match': '"1"' })).body.version).toBe(2)
  })

  test.each(['%20', '%00', '%ED%A0%80', 'a'.repeat(256), '%'])('under the key %s is a clear 4xx', async (key) => {
    const answer = await alice.put(`/notes/by-external-id/${key}`, { body: 'x' })
    expect([400, 404]).toContain(answer.status)
    expect(answer.headers.get('content-type')).toContain('application/problem+json')
  })

  test("does not touch another tenant's record", async () => {
    const own = await alice.put('/notes/by-external-id/shared', { body: 'mine' })
    const theirs = await house.charlie.put('/notes/by-external-id/shared', { body: 'theirs' })
    expect(theirs.status).toBe(201)
    expect((await alice.get(`/notes/${own.body.id}`)).body.body).toBe('mine')
  })
})
