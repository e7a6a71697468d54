import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'
import { hold } from '../../test/hold.ts'
import type { Item } from './lookup.entity.ts'

let house: TestApp
let alice: Client
let bob: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob } = house)
})
afterAll(() => house.stop())

let made = 0
/** An item of a list of its own kind, under a value of its own. */
const item = async (list: string, values: Record<string, unknown> = {}): Promise<Item> => {
  const answer = await alice.post(`/lookups/${list}`, { value: `value ${++made}`, ...values })
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body))
  return answer.body
}
const values = async (list: string, who: Client = alice): Promise<string[]> =>
  (await who.get(`/lookups/${list}`)).body.data.map((each: Item) => each.value)

describe('a tenant', () => {
  test('begins with the lists that members of records take their values from', async () => {
    const { body } = await bob.get('/lookups')
    expect(body.data.map(({ list }: { list: string }) => list)).toEqual([
      'industry',
      'job-title',
      'lost-reason',
      'source',
    ])
    for (const list of body.data) {
      expect(list).toMatchObject({ restricted: false, builtIn: true, version: 1 })
      expect(list.items.length).toBeGreaterThan(5)
      expect(list.items.map(({ order }: Item) => order)).toEqual(
        list.items.map((_item: Item, place: number) => place + 1),
      )
    }
    const source = await bob.get('/lookups/source')
    expect(source.headers.get('etag')).toBe('"1"')
    expect(source.body).toMatchObject({ list: 'source', label: 'Source', builtIn: true, page: { nextCursor: null } })
    expect(source.body.data[0]).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      value: 'referral',
      label: 'Referral',
      labels: {},
      order: 1,
      color: null,
      active: true,
    })
    expect((await bob.get('/lookups/source', { 'If-None-Match': '"1"' })).status).toBe(304)
    expect((await bob.get('/lookups/spaceships')).status).toBe(404)
  })

  test('does not see what others put into theirs', async () => {
    await item('source', { value: 'ours' })
    await item('our-own', { value: 'ours' })
    expect(await values('source', house.charlie)).not.toContain('ours')
    expect((await house.charlie.get('/lookups/our-own')).status).toBe(404)
    expect((await house.nobody.get('/lookups')).status).toBe(401)
  })

  test('lets its administrators alone change them', async () => {
    const { id } = await item('source')
    expect((await bob.post('/lookups/source', { value: 'x' })).status).toBe(403)
    expect((await bob.post('/lookups/bobs-own', { value: 'x' })).status).toBe(403)
    expect((await bob.patch('/lookups/source', { restricted: true })).status).toBe(403)
    expect((await bob.patch(`/lookups/source/${id}`, { label: 'x' })).status).toBe(403)
    expect((await bob.delete(`/lookups/source/${id}`)).status).toBe(403)
    expect((await bob.delete('/lookups/source')).status).toBe(403)
  })
})

describe('an item', () => {
  test('is made, renamed, coloured, put elsewhere and taken out of use', async () => {
    const fair = await item('own-a', { label: 'Trade fair', value: undefined, labels: { de: 'Messe' } })
    expect(fair).toEqual({
      id: expect.any(String),
      value: 'Trade fair',
      label: 'Trade fair',
      labels: { de: 'Messe' },
      order: 1,
      color: null,
      active: true,
    })
    const call = await item('own-a', { value: 'call' })
    expect(call).toMatchObject({ value: 'call', label: 'call', order: 2 })
    const first = await alice.patch(`/lookups/own-a/${call.id}`, { order: 0, color: '#d4af37', label: 'Call' })
    expect(first.body).toEqual({ ...call, order: 0, color: '#d4af37', label: 'Call' })
    expect(await values('own-a')).toEqual(['call', 'Trade fair'])
    expect((await alice.patch('/lookups/own-a/Trade%20fair', { active: false })).body.active).toBe(false)
    expect((await alice.get('/lookups/own-a?active=true')).body.data).toEqual([first.body])
    expect((await alice.patch(`/lookups/own-a/${call.id}`, first.body)).body).toEqual(first.body)
    expect((await alice.patch(`/lookups/own-a/${call.id}`, { value: 'other' })).body.errors[0].path).toBe('value')
    expect((await alice.patch(`/lookups/own-a/${call.id}`, { label: 'x' }, { 'If-Match': '"1"' })).status).toBe(412)
    expect((await alice.delete('/lookups/own-a/call')).status).toBe(204)
    expect((await alice.delete('/lookups/own-a/call')).status).toBe(404)
    expect(await values('own-a')).toEqual(['Trade fair'])
  })

  test.each([
    [{}, 'value'],
    [{ value: '' }, 'value'],
    [{ value: 'x'.repeat(101) }, 'value'],
    [{ value: 7 }, 'value'],
    [{ value: 'x', color: 'red' }, 'color'],
    [{ value: 'x', labels: { 'not a tag': 'x' } }, 'labels.not a tag'],
    [{ value: 'x', labels: { de: '' } }, 'labels.de'],
    [{ value: 'x', order: -1 }, 'order'],
    [{ value: 'x', active: 'yes' }, 'active'],
    [{ value: 'x', hint: 'y' }, 'hint'],
  ])('%j is 400', async (body, path) => {
    const answer = await alice.post('/lookups/source', body)
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, path])
  })

  test('has its value to itself, also when two come at once', async () => {
    const answers = await Promise.all([1, 2, 3].map(() => alice.post('/lookups/own-b', { value: 'same' })))
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
    expect(await values('own-b')).toEqual(['same'])
    const again = await alice.post('/lookups/own-b', { value: 'same' })
    expect(again.body).toMatchObject({ status: 409, code: 'DUPLICATE', errors: [{ path: 'value' }] })
  })

  test('and another make their list together, when both come first', async () => {
    const held = await hold(house.ownerUrl, 'lock table lookups in exclusive mode')
    const both = ['one', 'two'].map((value) => alice.post('/lookups/own-first', { value }))
    await held.until(2)
    await held.release()
    expect((await Promise.all(both)).map(({ status }) => status)).toEqual([201, 201])
    expect((await values('own-first')).toSorted()).toEqual(['one', 'two'])
  })

  test('goes when what holds it is to hold another', async () => {
    const { id } = await item('source', { value: 'hall 4' })
    const fair = await item('source', { value: 'fair' })
    const [contact, other] = [await alice.build('contact', { source: 'hall 4' }), await bob.build('contact')]
    const deal = await bob.build('deal', { source: 'hall 4' })
    const lead = await alice.build('lead', { source: 'hall 4' })
    await alice.post(`/deals/${deal.id}/archive`)
    expect((await alice.post(`/leads/${lead.id}/convert`, { duplicates: 'ignore' })).status).toBe(200)
    await alice.patch('/lookups/source', { restricted: true })
    const path = `/lookups/source/${id}`
    await alice.patch('/lookups/source/partner', { active: false })
    for (const replaceWith of [id, 'nowhere', 'partner', crypto.randomUUID()]) {
      const refused = await alice.delete(`${path}?replaceWith=${replaceWith}`)
      expect([replaceWith, refused.status, refused.body.errors?.[0]?.path]).toEqual([replaceWith, 400, 'replaceWith'])
    }
    expect((await bob.delete(`${path}?replaceWith=${fair.id}`)).status).toBe(403)
    expect((await alice.delete(`${path}?replaceWith=${fair.id}`, undefined, { 'If-Match': '"1"' })).status).toBe(412)
    expect((await alice.get(`/contacts/${contact.id}`)).body).toMatchObject({ source: 'hall 4', version: 1 })
    expect((await alice.delete(`${path}?replaceWith=${fair.id}`)).status).toBe(204)
    await alice.patch('/lookups/source', { restricted: false })
    await alice.patch('/lookups/source/partner', { active: true })
    expect(await values('source')).not.toContain('hall 4')
    expect((await alice.get(`/contacts/${contact.id}`)).body).toMatchObject({ source: 'fair', version: 2 })
    expect((await alice.get(`/contacts/${other.id}`)).body).toMatchObject({ source: null, version: 1 })
    expect((await alice.get(`/deals/${deal.id}`)).body.source).toBe('fair')
    expect((await alice.get(`/leads/${lead.id}`)).body).toMatchObject({ source: 'fair', status: 'converted' })
    const [, changed] = await alice.timeline('contact', contact.id, 2)
    expect(changed).toMatchObject({
      actor: { id: alice.userId },
      changes: [{ field: 'source', oldValue: 'hall 4', newValue: 'fair' }],
    })
  })

  test('that records hold stays, but can go out of use', async () => {
    const held: [string, string, Record<string, unknown>][] = [
      ['source', 'contact', { source: 'held' }],
      ['job-title', 'contact', { jobTitle: 'held' }],
      ['industry', 'company', { industry: 'held' }],
    ]
    for (const [list, type, members] of held) {
      const { id } = await item(list, { value: 'held' })
      const record = await alice.build(type, members)
      const at = `/${type === 'company' ? 'companies' : `${type}s`}/${record.id}`
      expect([list, (await alice.delete(`/lookups/${list}/${id}`)).body.code]).toEqual([list, 'CONFLICT'])
      await alice.post(`${at}/archive`)
      expect([list, (await alice.delete(`/lookups/${list}/${id}`)).status]).toEqual([list, 409])
      expect((await alice.patch(`/lookups/${list}/${id}`, { active: false })).status).toBe(200)
      expect((await alice.get(at)).body).toMatchObject(members)
      await alice.delete(at)
      expect([list, (await alice.delete(`/lookups/${list}/${id}`)).status]).toEqual([list, 204])
    }
    const deal = await alice.build('deal')
    await alice.post(`/deals/${deal.id}/lose`, { reason: 'price' })
    expect((await alice.delete('/lookups/lost-reason/price')).status).toBe(409)
    expect((await alice.delete('/lookups/lost-reason/timing')).status).toBe(204)
  })
})

describe('a list', () => {
  test('of one’s own is made by its first item, and goes', async () => {
    await item('own-c')
    const renamed = await alice.patch('/lookups/own-c', { label: 'Regions' }, { 'If-Match': '"2"' })
    expect(renamed.body).toMatchObject({ list: 'own-c', label: 'Regions', builtIn: false, version: 3 })
    expect((await alice.patch('/lookups/own-c', renamed.body)).body).toEqual(renamed.body)
    expect((await alice.patch('/lookups/own-c', { builtIn: true })).body.errors[0].path).toBe('builtIn')
    expect((await alice.delete('/lookups/own-c')).status).toBe(204)
    expect((await alice.get('/lookups/own-c')).status).toBe(404)
    expect((await alice.delete('/lookups/source')).body.code).toBe('BUILT_IN_LIST')
    expect((await alice.post('/lookups/Own', { value: 'x' })).status).toBe(404)
  })

  test('is free text until it is restricted; then what is new must be an active item', async () => {
    const source = { free: 'what I like' }
    const contact = await alice.build('contact', { source: source.free })
    expect((await alice.patch('/lookups/source', { restricted: true })).body.restricted).toBe(true)
    const refused = [
      await alice.post('/contacts', { firstName: 'Ada', source: source.free }),
      await alice.post('/deals', { name: 'x', source: source.free }),
      await alice.patch(`/contacts/${contact.id}`, { source: 'Referral' }),
    ]
    for (const answer of refused) {
      expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, 'source'])
      expect(answer.body.errors[0].message).toBe('must be an active value of the pick list source')
    }
    const kept = await alice.patch(`/contacts/${contact.id}`, { source: source.free, lastName: 'King' })
    expect([kept.status, kept.body.lastName]).toEqual([200, 'King'])
    expect((await alice.patch(`/contacts/${contact.id}`, { source: 'referral' })).status).toBe(200)
    expect((await alice.patch(`/contacts/${contact.id}`, { source: null })).status).toBe(200)
    const { body } = await alice.post('/contacts/bulk', {
      operations: ['referral', 'nowhere'].map((each) => ({ op: 'create', data: { firstName: 'A', source: each } })),
    })
    expect(body.results.map(({ status }: { status: number }) => status)).toEqual([201, 400])
    await alice.patch('/lookups/source/partner', { active: false })
    expect((await alice.post('/contacts', { firstName: 'Ada', source: 'partner' })).status).toBe(400)
    expect((await house.charlie.post('/contacts', { firstName: 'Ada', source: 'anything' })).status).toBe(201)
    await alice.patch('/lookups/source', { restricted: false })
    expect((await alice.post('/contacts', { firstName: 'Ada', source: source.free })).status).toBe(201)
    await alice.patch('/lookups/lost-reason', { restricted: true })
    const deal = await alice.build('deal')
    const lost = await alice.post(`/deals/${deal.id}/lose`, { reason: 'dull' })
    expect([lost.status, lost.body.errors[0].path]).toEqual([400, 'lostReason'])
    expect((await alice.post(`/deals/${deal.id}/lose`, { reason: 'price' })).status).toBe(200)
    await alice.patch('/lookups/lost-reason', { restricted: false })
  })

  test('has a timeline', async () => {
    await item('own-d')
    const { id } = (await alice.get('/lookups')).body.data.find(({ list }: { list: string }) => list === 'own-d')
    const [created, changed] = await alice.timeline('lookup', id, 2)
    expect([created?.action, changed?.action]).toEqual(['created', 'updated'])
  })
})
