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

/** Sends a deal with a literal of JSON, as `JSON.stringify` would round it. */
const withValue = (literal: string) =>
  alice.raw('POST', '/deals', `{"name":"Exact","value":${literal}}`, { 'content-type': 'application/json' })

describe('money', () => {
  test.each([
    '0',
    '0.1',
    '0.3',
    '0.0001',
    '1.10',
    '-5.5',
    '99999999999.9999',
    '-99999999999.9999',
    '4e3',
    '12345678901.2345',
  ])('%s is stored exactly', async (literal) => {
    const made = await withValue(literal)
    expect(made.status).toBe(201)
    expect(made.body.value).toBe(Number(literal))
    const { body } = await alice.get(`/deals/${made.body.id}`)
    expect(body.value).toBe(Number(literal))
    expect((await alice.get(`/deals?value=${Number(literal)}&fields=id`)).body.data).toContainEqual({ id: body.id })
  })

  test.each([
    '0.00001',
    '0.30000000000000004',
    '1.00001',
    '100000000000',
    '1e11',
    '1e400',
    '-1e12',
    '"5"',
    'true',
    '[1]',
  ])('%s is 400', async (literal) => {
    const answer = await withValue(literal)
    expect([literal, answer.status]).toEqual([literal, 400])
    expect(answer.body.errors).toEqual([expect.objectContaining({ path: 'value' })])
  })

  test('sums keep what doubles lose', async () => {
    const dave = await house.found('Sums', 'Dave')
    for (const value of [0.1, 0.2, 99_999_999_999.9999]) await dave.build('deal', { value, probability: 100 })
    const { body } = await dave.get('/deals/board')
    expect(body.data[0].value).toBe(100_000_000_000.2999)
    expect(body.data[0].weightedValue).toBe(100_000_000_000.2999)
  })

  test('has the currency of the tenant unless it says its own', async () => {
    expect((await alice.build('deal')).currency).toBe('USD')
    expect((await alice.build('deal', { currency: 'EUR' })).currency).toBe('EUR')
    for (const currency of ['eur', 'XXY', 'EURO', ''])
      expect([currency, (await alice.post('/deals', { name: 'x', currency })).status]).toEqual([currency, 400])
  })
})

describe('text', () => {
  const nameOf = async (name: string) => (await alice.build('company', { name })).name

  test('is kept as sent, except white space around it', async () => {
    expect(await nameOf('  Ada \t\n')).toBe('Ada')
    expect(await nameOf('a  b\nc')).toBe('a  b\nc')
    expect(await nameOf('\u00a0Ada\u2003')).toBe('Ada')
    const composed = 'Ame\u0301lie'
    expect(await nameOf(composed)).toBe(composed)
    expect(await nameOf('👩‍👩‍👧 e\u200d \u202e "quoted" <b> \\ %')).toBe('👩‍👩‍👧 e\u200d \u202e "quoted" <b> \\ %')
  })

  test('has at most 255 characters where it is a line', async () => {
    expect(await nameOf('ä'.repeat(255))).toHaveLength(255)
    expect(await nameOf(` ${'語'.repeat(255)} `)).toHaveLength(255)
    expect((await alice.post('/companies', { name: 'a'.repeat(256) })).status).toBe(400)
    const longest = { firstName: '語'.repeat(255), lastName: '本'.repeat(255), externalId: '字'.repeat(255) }
    expect((await alice.build('contact', longest)).name).toHaveLength(511)
  })

  test.each([
    ['companies', 'name', { name: 'a\0b' }],
    ['companies', 'name', { name: 'a\ud800' }],
    ['companies', 'name', { name: '  ' }],
    ['companies', 'name', { name: 7 }],
    ['companies', 'address.city', { name: 'x', address: { city: '\0' } }],
    ['companies', 'address.city', { name: 'x', address: { city: '\udc00' } }],
    ['companies', 'tags.0', { name: 'x', tags: ['\0'] }],
    ['companies', 'tags.1', { name: 'x', tags: ['ok', '\ud800'] }],
    ['companies', 'website', { name: 'x', website: 'javascript:alert(1)' }],
    ['companies', 'website', { name: 'x', website: 'https://\0.example' }],
    ['contacts', 'email', { email: 'nobody' }],
    ['contacts', 'email', { email: 'a@b..example' }],
    ['contacts', 'emails.0', { firstName: 'x', emails: ['nobody'] }],
    ['contacts', 'timezone', { firstName: 'x', timezone: 'Mars/Olympus' }],
    ['contacts', 'locale', { firstName: 'x', locale: 'a_b_c' }],
    ['contacts', 'consent.source', { firstName: 'x', consent: { source: '\ud800' } }],
    ['tasks', 'checklist.0.id', { title: 'x', checklist: [{ id: '\ud800', text: 'x' }] }],
    ['tasks', 'checklist.0.id', { title: 'x', checklist: [{ id: '\0', text: 'x' }] }],
    ['tasks', 'checklist.0.text', { title: 'x', checklist: [{ text: '\0' }] }],
    ['notes', 'body', { body: '\0' }],
    ['notes', 'body', { body: 'a'.repeat(100_001) }],
  ])('in %s: %s is refused', async (path, member, body) => {
    const answer = await alice.post(`/${path}`, body)
    expect(answer.status).toBe(400)
    expect(new Set(answer.body.errors.map((error: { path: string }) => error.path))).toEqual(new Set([member]))
  })
})

describe('dates and times', () => {
  test('a date is a day', async () => {
    for (const birthday of ['1815-12-10', '2024-02-29', '0001-01-01', '9999-12-31'])
      expect((await alice.build('contact', { birthday })).birthday).toBe(birthday)
    for (const birthday of [
      '2023-02-29',
      '2026-13-01',
      '0000-01-01',
      '10000-01-01',
      '1815-12-10T00:00:00Z',
      '1815',
      '',
    ])
      expect([birthday, (await alice.post('/contacts', { firstName: 'x', birthday })).status]).toEqual([birthday, 400])
  })

  test.each([
    ['2026-11-21T08:00:00Z', '2026-11-21T08:00:00.000Z'],
    ['2026-11-21T08:00:00.1Z', '2026-11-21T08:00:00.100Z'],
    ['2026-11-21T08:00:00.1234567Z', '2026-11-21T08:00:00.123Z'],
    ['2026-11-21T10:00:00.5+02:00', '2026-11-21T08:00:00.500Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ])('the time %s is answered as %s', async (sent, shown) => {
    const task = await alice.build('task', { dueAt: sent })
    expect(task.dueAt).toBe(shown)
    expect((await alice.patch(`/tasks/${task.id}`, { dueAt: sent })).body.version).toBe(1)
  })

  test('times within objects follow the same rule', async () => {
    const { consent } = await alice.build('contact', { consent: { email: true, givenAt: '2026-11-21T10:00:00+02:00' } })
    expect(consent).toEqual({ email: true, givenAt: '2026-11-21T08:00:00.000Z' })
  })

  test.each([
    '2026-11-21',
    '2026-11-21T08:00:00',
    '2026-11-21 08:00:00Z',
    '2026-11-21T24:00:00Z',
    '2026-11-21T23:59:60Z',
    '2026-02-30T00:00:00Z',
    '0000-01-01T00:00:00Z',
    '0001-01-01T00:00:00+10:00',
    '9999-12-31T23:59:59-10:00',
    'now',
    'infinity',
    '',
    0,
  ])('the time %s is 400', async (dueAt) => {
    const answer = await alice.post('/tasks', { title: 'x', dueAt })
    expect(answer.status).toBe(400)
    expect(answer.body.errors[0].path).toBe('dueAt')
  })
})
