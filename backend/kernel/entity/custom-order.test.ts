import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'

let house: TestApp
let alice: Client
let people: Person[] = []

interface Person {
  readonly id: string
  readonly lastName: string
  readonly customFields: Readonly<Record<string, unknown>>
}

const options = ['gamma', 'alpha', 'Beta']
const types = ['text', 'number', 'date', 'boolean', 'select', 'multiselect', 'url', 'email', 'phone', 'user'] as const

/** The value of a person's field, some the same and some missing. */
const valueFor = (type: (typeof types)[number], n: number): unknown => {
  const value = (n * 7) % 11
  return {
    text: ['banana', 'Apple', 'épée', 'eel', 'Zoo'][value % 5],
    number: value - 5.5,
    date: `19${60 + value}-02-03`,
    boolean: value % 2 === 0,
    select: options[value % 3],
    multiselect: [options[value % 3], options[(value + 1) % 3]],
    url: `https://${value}.example`,
    email: `${value}@example.com`,
    phone: `+44 20 7946 09${50 + value}`,
    user: value % 2 === 0 ? alice.userId : house.bob.userId,
  }[type]
}

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice } = house)
  for (const type of types)
    await alice.build('customField', {
      resource: 'contact',
      key: `by_${type}`,
      type,
      ...(type.endsWith('select') ? { options } : {}),
    })
  const operations = Array.from({ length: 60 }, (_none, n) => {
    const held = types.filter((_type, place) => (n + place) % 3 !== 0)
    const customFields = Object.fromEntries(held.map((type) => [`by_${type}`, valueFor(type, n)]))
    return { op: 'create', data: { lastName: `Sorted ${n}`, tags: n % 2 === 0 ? ['even'] : [], customFields } }
  })
  const { results } = (await alice.post('/contacts/bulk', { operations })).body
  people = results.map(({ record }: { record: Person }) => record)
  const [gone, archived, ...others] = people
  await alice.delete(`/contacts/${gone?.id}`)
  await alice.post(`/contacts/${archived?.id}/archive`)
  people = others
})
afterAll(() => house.stop())

async function walk(query: string): Promise<string[]> {
  const seen: string[] = []
  for (let cursor = ''; ; ) {
    const answer = await alice.get(`/contacts?limit=7&${query}${cursor}`)
    expect([query, answer.status]).toEqual([query, 200])
    seen.push(...answer.body.data.map(({ lastName }: Person) => lastName))
    if (answer.body.page.nextCursor === null) return seen
    cursor = `&cursor=${answer.body.page.nextCursor}`
  }
}

const { compare } = new Intl.Collator('und')

/** By the value, then by id; who has none comes last in both directions. */
function sorted(type: string, descending: boolean, among = people): string[] {
  const sign = descending ? -1 : 1
  const keyOf = ({ customFields }: Person): unknown => [customFields[`by_${type}`]].flat()[0]
  const order = (a: unknown, b: unknown): number =>
    typeof a === 'number' && typeof b === 'number' ? a - b : compare(String(a), String(b))
  const byId = (a: Person, b: Person) => sign * (a.id < b.id ? -1 : 1)
  const held = among.filter((person) => keyOf(person) !== undefined)
  return [
    ...held.toSorted((a, b) => sign * order(keyOf(a), keyOf(b)) || byId(a, b)),
    ...among.filter((person) => !held.includes(person)).toSorted(byId),
  ].map(({ lastName }) => lastName)
}

describe.each(types)('a list sorted by a custom field of type %s', (type) => {
  test.each(['', '-'])('visits each record once, in its order (%s)', async (direction) => {
    expect(await walk(`sort=${direction}cf.by_${type}`)).toEqual(sorted(type, direction === '-'))
  })

  test('and filtered by it, by something else, or by what is missing', async () => {
    const sort = `sort=-cf.by_${type}`
    const even = people.filter(({ lastName }) => Number(lastName.split(' ')[1]) % 2 === 0)
    expect(await walk(`${sort}&tags=even`)).toEqual(sorted(type, true, even))
    const member = `by_${type}`
    const values = [4, 5].map((n) => [valueFor(type, n)].flat()[0])
    const among = (wanted: readonly unknown[]) =>
      people.filter(({ customFields }) => [customFields[member]].flat().some((value) => wanted.includes(value)))
    const text = (value: unknown) => encodeURIComponent(String(value))
    expect(await walk(`${sort}&cf.${member}=${text(values[0])}`)).toEqual(sorted(type, true, among(values.slice(0, 1))))
    expect(await walk(`${sort}&cf.${member}[in]=${values.map(text).join(',')}`)).toEqual(
      sorted(type, true, among(values)),
    )
    const without = people.filter(({ customFields }) => customFields[member] === undefined)
    expect(await walk(`${sort}&cf.${member}[isNull]=true`)).toEqual(sorted(type, true, without))
  })
})

test('a custom field sorts beside members and other fields, and among what a quick find gives', async () => {
  const byBoth = await walk('sort=cf.by_boolean,-cf.by_number,lastName')
  expect(byBoth.toSorted()).toEqual(people.map(({ lastName }) => lastName).toSorted())
  const held = (name: string) => people.find(({ lastName }) => lastName === name)?.customFields
  const booleans = byBoth.map((name) => String(held(name)?.by_boolean))
  expect(booleans).toEqual(
    booleans.toSorted((a, b) => ['false', 'true', 'undefined'].indexOf(a) - ['false', 'true', 'undefined'].indexOf(b)),
  )
  const numbers = byBoth
    .filter((name) => held(name)?.by_boolean === true)
    .map((name) => held(name)?.by_number ?? -Infinity)
  expect(numbers).toEqual(numbers.toSorted((a, b) => Number(b) - Number(a)))
  await eventually(async () => (await walk('q=Sorted')).length === people.length, 'all in the quick find')
  expect(await walk('q=Sorted&sort=cf.by_text')).toEqual(sorted('text', false))
  expect((await alice.get('/contacts?sort=cf.by_text&count=exact')).body.page.total).toBe(people.length)
})

test('what is not there is no sort, and a cursor belongs to its list', async () => {
  for (const sort of ['cf.nothing', 'cf.', '-cf.by_text,cf.by_text']) {
    const answer = await alice.get(`/contacts?sort=${sort}`)
    expect([sort, answer.status, answer.body.errors?.[0]?.path]).toEqual([sort, 400, 'sort'])
  }
  expect((await house.charlie.get('/contacts?sort=cf.by_text')).status).toBe(400)
  const { page } = (await alice.get('/contacts?sort=cf.by_text&limit=2')).body
  expect((await alice.get(`/contacts?sort=cf.by_email&limit=2&cursor=${page.nextCursor}`)).status).toBe(400)
  const view = await alice.post('/views', { name: 'By text', resource: 'contact', sort: '-cf.by_text' })
  expect(view.status).toBe(201)
  expect(await walk(`view=${view.body.id}`)).toEqual(sorted('text', true))
})
