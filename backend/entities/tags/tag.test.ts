import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'

let house: TestApp
let alice: Client
let bob: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob } = house)
})
afterAll(() => house.stop())

const tagsNamed = async (name: string, as: Client = alice) => (await as.get(`/tags?name=${name}`)).body.data

test('a member makes, colours and lists tags', async () => {
  const made = await bob.post('/tags', { name: ' gold ', color: '#D4AF37' })
  expect(made.status).toBe(201)
  expect(made.body).toMatchObject({ name: 'gold', color: '#D4AF37', description: null, version: 1 })
  expect((await bob.patch(`/tags/${made.body.id}`, { color: null })).body).toMatchObject({ color: null, version: 2 })
  expect(await tagsNamed('gold')).toHaveLength(1)
  expect(await tagsNamed('gold', house.charlie)).toEqual([])
  expect((await house.charlie.get(`/tags/${made.body.id}`)).status).toBe(404)
})

test.each([
  {},
  { name: '' },
  { name: 'a'.repeat(51) },
  { name: 'x', color: 'red' },
  { name: 'x', icon: 1 },
  { name: 7 },
])('%j is 400', async (body) => expect((await alice.post('/tags', body)).status).toBe(400))

test('a name is taken once, and fixed', async () => {
  const { id } = await alice.build('tag', { name: 'silver' })
  const again = await alice.post('/tags', { name: 'silver' })
  expect(again.body).toMatchObject({ status: 409, code: 'DUPLICATE', errors: [{ path: 'name' }] })
  expect((await alice.patch(`/tags/${id}`, { name: 'bronze' })).body.errors[0].path).toBe('name')
  expect((await alice.patch(`/tags/${id}`, { name: 'silver' })).body.version).toBe(1)
})

describe('tags of records', () => {
  test('unknown ones are made, each once, on every noun', async () => {
    const nouns = ['contact', 'company', 'deal', 'task', 'note']
    await Promise.all(nouns.map((type) => alice.build(type, { tags: [' fresh ', 'fresh', `of ${type}`] })))
    expect(await tagsNamed('fresh')).toHaveLength(1)
    for (const type of nouns) expect(await tagsNamed(`of ${type}`)).toHaveLength(1)
    const note = await alice.build('note')
    expect((await alice.patch(`/notes/${note.id}`, { tags: ['later', 'fresh'] })).body.tags).toEqual(['later', 'fresh'])
    expect(await tagsNamed('later')).toHaveLength(1)
  })

  test('filters follow what a record has now', async () => {
    const { id } = await alice.build('company', { tags: ['one', 'two'] })
    const found = async (tag: string) => (await alice.get(`/companies?tags=${tag}`)).body.data.length
    await alice.patch(`/companies/${id}`, { tags: ['two', 'three'] })
    expect([await found('one'), await found('two'), await found('three')]).toEqual([0, 1, 1])
    await alice.delete(`/companies/${id}`)
    expect([await found('two'), await found('three')]).toEqual([0, 0])
    await alice.post(`/companies/${id}/restore`)
    expect([await found('one'), await found('two')]).toEqual([0, 1])
  })

  test('at most 50, of at most 50 characters', async () => {
    const many = Array.from({ length: 51 }, (_none, index) => `tag ${index}`)
    expect((await alice.post('/notes', { body: 'x', tags: many })).body.errors[0].path).toBe('tags')
    expect((await alice.build('note', { tags: many.slice(1) })).tags).toHaveLength(50)
    expect((await alice.post('/notes', { body: 'x', tags: ['a'.repeat(51)] })).body.errors[0].path).toBe('tags.0')
    expect((await alice.post('/notes', { body: 'x', tags: [' '] })).status).toBe(400)
  })
})

describe('deleting a tag', () => {
  test('is refused while a record holds it', async () => {
    const note = await alice.build('note', { tags: ['held'] })
    const [tag] = await tagsNamed('held')
    const answer = await alice.delete(`/tags/${tag.id}`)
    expect([answer.status, answer.body.code]).toEqual([422, 'TAG_IN_USE'])
    await alice.patch(`/notes/${note.id}`, { tags: [] })
    expect((await alice.delete(`/tags/${tag.id}`)).status).toBe(204)
    expect(await tagsNamed('held')).toEqual([])
  })

  test('frees its name; a record that comes back with it makes it anew', async () => {
    const note = await alice.build('note', { tags: ['phoenix'] })
    await alice.delete(`/notes/${note.id}`)
    const [tag] = await tagsNamed('phoenix')
    expect((await alice.delete(`/tags/${tag.id}`)).status).toBe(204)
    await alice.post(`/notes/${note.id}/restore`)
    const [again] = await tagsNamed('phoenix')
    expect(again.id).not.toBe(tag.id)
  })

  test('is not for strangers', async () => {
    const { id } = await alice.build('tag', { name: 'own' })
    expect((await house.charlie.delete(`/tags/${id}`)).status).toBe(404)
    expect((await house.nobody.delete(`/tags/${id}`)).status).toBe(401)
    expect((await alice.delete(`/tags/${id}`, undefined, { 'If-Match': '"9"' })).status).toBe(412)
  })
})
