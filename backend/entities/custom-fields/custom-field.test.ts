import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'

let house: TestApp
let alice: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice } = house)
})
afterAll(() => house.stop())

let made = 0
/** A custom field of companies under a key of its own. */
async function field(values: Record<string, unknown>): Promise<{ id: string; key: string }> {
  const key = String(values.key ?? `field_${++made}`)
  const { id } = await alice.build('customField', { resource: 'company', label: key, ...values, key })
  return { id, key }
}
const company = (customFields: unknown, as: Client = alice) => as.post('/companies', { name: 'x', customFields })

describe('each type', () => {
  const options = ['small', 'large, or larger']
  test.each([
    ['text', {}, ['x', '  x ', 'ä'.repeat(500), '👩‍👩‍👧'], ['', ' ', 'a'.repeat(501), 7, true, ['x'], 'a\0', '\ud800']],
    ['number', {}, [0, -1.5, 1e15, 0.1], ['1', true, 1e16, [1]]],
    ['date', {}, ['2024-02-29', '1815-12-10'], ['2023-02-29', '2024-02-29T00:00:00Z', '', 7, '0000-01-01']],
    ['boolean', {}, [true, false], ['true', 1, 0]],
    ['select', { options }, options, ['Small', '', 7, ['small'], ' small']],
    ['multiselect', { options }, [[], ['small'], options], ['small', ['tiny'], ['small', 'small'], [7], {}]],
    [
      'url',
      {},
      ['https://example.com/a?b=1#c'],
      ['example.com', 'javascript:alert(1)', '', 'ftp://example.com', 'https://\0'],
    ],
    ['email', {}, ['ada@example.com'], ['ada', 'a@b', '', 7]],
    [
      'phone',
      {},
      ['+44 20 7946 0958', '+1 (415) 555-2671', '020 7946 0958', '030/1234-567', '555-2671 ext. 12'],
      ['', 'a'.repeat(51), '1'.repeat(51), 7, 'call me', '+44 1', '+999 123456', '+', '--- '],
    ],
  ])('%s', async (type, more, good, bad) => {
    const { key } = await field({ type, ...more })
    for (const value of good) {
      const answer = await company({ [key]: value })
      expect([value, answer.status]).toEqual([value, 201])
      expect(answer.body.customFields[key]).toEqual(typeof value === 'string' ? value.trim() : value)
      expect((await alice.get(`/companies/${answer.body.id}`)).body.customFields).toEqual(answer.body.customFields)
    }
    for (const value of bad) {
      const answer = await company({ [key]: value })
      expect([value, answer.status, answer.body.errors?.[0]?.path]).toEqual([value, 400, `customFields.${key}`])
    }
    expect((await company({ [key]: null })).body.customFields).not.toHaveProperty(key)
  })

  test('user is an active user of the tenant', async () => {
    const { key } = await field({ type: 'user' })
    expect((await company({ [key]: house.bob.userId.toUpperCase() })).body.customFields[key]).toBe(house.bob.userId)
    for (const value of ['x', house.charlie.userId, '01900000-0000-7000-8000-000000000000', 7]) {
      const answer = await company({ [key]: value })
      expect([value, answer.status, answer.body.errors[0].path]).toEqual([value, 400, `customFields.${key}`])
    }
    const { id } = (await company({})).body
    const changed = await alice.patch(`/companies/${id}`, { customFields: { [key]: house.charlie.userId } })
    expect([changed.status, changed.body.errors[0].path]).toEqual([400, `customFields.${key}`])
  })

  test.each(['currency', 'file', '', null, 7])('%s is no type', async (type) => {
    const answer = await alice.post('/custom-fields', { resource: 'company', key: 'k', label: 'k', type })
    expect([answer.status, answer.body.errors[0].path]).toEqual([400, 'type'])
  })
})

describe('a definition', () => {
  test.each([
    [{ key: 'Upper' }, 'key'],
    [{ key: '1st' }, 'key'],
    [{ key: '__proto' }, 'key'],
    [{ key: 'a'.repeat(64) }, 'key'],
    [{ resource: 'companies' }, 'resource'],
    [{ resource: 'users' }, 'resource'],
    [{ label: '' }, 'label'],
    [{ type: 'select' }, 'options'],
    [{ type: 'multiselect', options: [] }, 'options'],
    [{ type: 'select', options: ['a', 'a'] }, 'options'],
    [{ type: 'text', options: ['a'] }, 'options'],
    [{ type: 'number', default: 'ten' }, 'default'],
    [{ type: 'date', default: '2023-02-29' }, 'default'],
    [{ type: 'select', options: ['a'], default: 'b' }, 'default'],
    [{ type: 'text', default: '\ud800' }, 'default'],
    [{ type: 'text', default: 'same', unique: true }, 'default'],
    [{ type: 'user', default: '01a1fecc-7754-7509-aa79-c6abe3c1cc97' }, 'default'],
    [{ hint: 'x' }, 'hint'],
  ])('%j is 400', async (values, path) => {
    const body = { resource: 'note', key: `wrong_${++made}`, label: 'Wrong', type: 'text', ...values }
    const answer = await alice.post('/custom-fields', body)
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, path])
  })

  test('is changed under the same rules; resource, key, type and unique are fixed', async () => {
    const { id } = await field({ type: 'select', options: ['a', 'b'], default: 'a' })
    const at = `/custom-fields/${id}`
    for (const [values, path] of [
      [{ type: 'text' }, 'type'],
      [{ key: 'other' }, 'key'],
      [{ resource: 'deal' }, 'resource'],
      [{ unique: true }, 'unique'],
      [{ default: 'c' }, 'default'],
      [{ options: ['b'] }, 'default'],
      [{ options: [] }, 'options'],
    ] as const)
      expect([values, (await alice.patch(at, values)).body.errors?.[0]?.path]).toEqual([values, path])
    const changed = await alice.patch(at, { options: ['b', 'c'], default: 'c', label: 'New', type: 'select' })
    expect([changed.status, changed.body.version]).toEqual([200, 2])
    expect((await alice.patch(at, { default: null }, { 'If-Match': '"1"' })).status).toBe(412)
    await alice.delete(at)
  })

  test('has a key of its own in its resource', async () => {
    await field({ key: 'once' })
    const again = await alice.post('/custom-fields', { resource: 'company', key: 'once', label: 'x', type: 'text' })
    expect(again.body).toMatchObject({ status: 409, code: 'DUPLICATE', errors: [{ path: 'key' }] })
    await alice.build('customField', { resource: 'deal', key: 'once', label: 'x' })
  })

  test('is made by admins and seen by its tenant only', async () => {
    const { id, key } = await field({})
    expect(
      (await house.bob.post('/custom-fields', { resource: 'deal', key: 'k', label: 'k', type: 'text' })).status,
    ).toBe(403)
    expect((await house.bob.get(`/custom-fields/${id}`)).status).toBe(200)
    expect((await house.charlie.get(`/custom-fields/${id}`)).status).toBe(404)
    expect((await house.charlie.patch(`/custom-fields/${id}`, { label: 'x' })).status).toBe(404)
    expect((await company({ [key]: 'x' }, house.charlie)).body.errors?.[0]?.path).toBe(`customFields.${key}`)
    expect((await house.charlie.get(`/companies?cf.${key}=x`)).status).toBe(400)
  })

  test('is there at once, in other processes too, and gone when it is deleted', async () => {
    const other = await house.another()
    const elsewhere = (path: string, body?: unknown) =>
      fetch(`${other.url}/api/v1${path}`, {
        method: body ? 'POST' : 'GET',
        headers: { authorization: `Bearer ${alice.token}`, 'content-type': 'application/json' },
        ...(body ? { body: JSON.stringify(body) } : {}),
      })
    expect((await elsewhere('/companies?cf.nothing=1')).status).toBe(400)
    const written = await field({})
    expect((await elsewhere('/companies', { name: 'x', customFields: { [written.key]: 'x' } })).status).toBe(201)
    const filtered = await field({})
    expect((await elsewhere(`/companies?cf.${filtered.key}=x`)).status).toBe(200)
    await alice.delete(`/custom-fields/${written.id}`)
    expect((await company({ [written.key]: 'x' })).status).toBe(400)
    expect((await alice.get(`/companies?cf.${written.key}=x`)).status).toBe(400)
  })
})

describe('required, default, unique', () => {
  test('required asks creates and PUT, and forbids to clear', async () => {
    const { id, key } = await field({ required: true })
    const path = `customFields.${key}`
    for (const answer of [
      await alice.post('/companies', { name: 'x' }),
      await company({}),
      await company({ [key]: null }),
    ])
      expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, path])
    const { body } = await company({ [key]: 'x' })
    expect((await alice.patch(`/companies/${body.id}`, { name: 'y' })).status).toBe(200)
    expect((await alice.patch(`/companies/${body.id}`, { customFields: { [key]: null } })).body.errors[0].path).toBe(
      path,
    )
    expect((await alice.put(`/companies/${body.id}`, { name: 'z' })).body.errors[0].path).toBe(path)
    await alice.delete(`/custom-fields/${id}`)
  })

  test('a default fills what a create leaves out', async () => {
    const { id, key } = await field({ type: 'number', default: 5, required: true })
    const { body } = await company({})
    expect(body.customFields[key]).toBe(5)
    expect((await company({ [key]: 6 })).body.customFields[key]).toBe(6)
    expect((await alice.get(`/companies?cf.${key}=5`)).body.data.map((one: { id: string }) => one.id)).toEqual([
      body.id,
    ])
    await alice.delete(`/custom-fields/${id}`)
  })

  test('a key that JavaScript has its own idea of is a key like others', async () => {
    const { id, key } = await field({ key: 'constructor', required: true, default: 'none' })
    expect((await company({})).body.customFields[key]).toBe('none')
    await alice.delete(`/custom-fields/${id}`)
  })

  test('a unique value is taken once, among live records', async () => {
    const { key } = await field({ unique: true })
    const first = await company({ [key]: 'A1' })
    const twice = await company({ [key]: ' A1 ' })
    expect(twice.body).toMatchObject({ status: 409, code: 'DUPLICATE', errors: [{ path: 'customFields' }] })
    expect((await company({ [key]: 'a1' })).status).toBe(201)
    expect((await company({})).status).toBe(201)
    const other = await company({ [key]: 'B2' })
    expect((await alice.patch(`/companies/${other.body.id}`, { customFields: { [key]: 'A1' } })).status).toBe(409)
    expect(
      (await alice.patch(`/companies/${first.body.id}`, { customFields: { [key]: 'A1' }, name: 'y' })).status,
    ).toBe(200)
    await alice.delete(`/companies/${first.body.id}`)
    const heir = await company({ [key]: 'A1' })
    expect(heir.status).toBe(201)
    const back = await alice.post(`/companies/${first.body.id}/restore`)
    expect([back.status, back.body.code]).toEqual([409, 'DUPLICATE'])
    await alice.patch(`/companies/${heir.body.id}`, { customFields: { [key]: null } })
    expect((await alice.post(`/companies/${first.body.id}/restore`)).status).toBe(200)
    expect((await company({ [key]: 'A1' })).status).toBe(409)
  })

  test('a unique multiselect is unique as a whole', async () => {
    const { key } = await field({ type: 'multiselect', options: ['a', 'b', 'c'], unique: true })
    expect((await company({ [key]: ['a', 'b'] })).status).toBe(201)
    expect((await company({ [key]: ['a', 'b'] })).status).toBe(409)
    expect((await company({ [key]: ['a', 'c'] })).status).toBe(201)
    expect((await alice.get(`/companies?cf.${key}=a`)).body.data).toHaveLength(2)
  })

  test('of several that come at once with a unique value one is made', async () => {
    const { key } = await field({ unique: true, type: 'number' })
    const answers = await Promise.all(Array.from({ length: 4 }, () => company({ [key]: 7 })))
    expect(answers.map((answer) => answer.status).sort()).toEqual([201, 409, 409, 409])
  })
})

describe('the values of each type', () => {
  type Case = [
    type: string,
    more: object,
    a: unknown,
    b: unknown,
    equal: string,
    range?: [operator: string, bound: string, found: 'a' | 'b'],
  ]
  const options = ['small', 'large']
  const cases: Case[] = [
    ['text', {}, 'apple', 'pear', 'apple'],
    ['number', {}, 5, 10, '5', ['gt', '5', 'b']],
    ['date', {}, '2026-01-01', '2026-06-01', '2026-01-01', ['lt', '2026-06-01', 'a']],
    ['boolean', {}, true, false, 'true'],
    ['select', { options }, 'small', 'large', 'small'],
    ['multiselect', { options: ['red', 'blue', 'green'] }, ['red', 'blue'], ['green'], 'blue'],
    ['url', {}, 'https://a.example', 'https://b.example', 'https://a.example'],
    ['email', {}, 'a@example.com', 'b@example.com', 'a@example.com'],
    ['phone', {}, '+44 20 7946 0958', '+44 20 7946 0959', '+44 20 7946 0958'],
  ]
  test.each(cases)('%s are made, changed, replaced and filtered by', async (type, more, a, b, equal, range) => {
    const { key } = await field({ type, ...more })
    const [first, second] = [(await company({ [key]: a })).body, (await company({ [key]: b })).body]
    const none = (await company({})).body
    const found = async (query: string) =>
      (await alice.get(`/companies?limit=200&${query}`)).body.data.map(({ id }: { id: string }) => id)
    const encoded = encodeURIComponent(equal)
    expect(await found(`cf.${key}=${encoded}`)).toEqual([first.id])
    expect(await found(`cf.${key}[in]=${encoded}`)).toEqual([first.id])
    const others = await found(`cf.${key}[ne]=${encoded}`)
    expect(others).toEqual(expect.arrayContaining([second.id, none.id]))
    expect(others).not.toContain(first.id)
    expect((await found(`cf.${key}[isNull]=false`)).sort()).toEqual([first.id, second.id].sort())
    if (range)
      expect(await found(`cf.${key}[${range[0]}]=${range[1]}`)).toEqual([range[2] === 'a' ? first.id : second.id])
    else expect((await alice.get(`/companies?cf.${key}[gt]=1`)).status).toBe(400)
    const at = `/companies/${first.id}`
    expect((await alice.patch(at, { customFields: { [key]: b } })).body.customFields).toEqual({ [key]: b })
    expect(await found(`cf.${key}=${encoded}`)).toEqual([])
    expect((await alice.put(at, { name: 'y', customFields: { [key]: a } })).body.customFields).toEqual({ [key]: a })
    expect(await found(`cf.${key}=${encoded}`)).toEqual([first.id])
    expect((await alice.put(at, { name: 'y' })).body.customFields).toEqual({})
    expect(await found(`cf.${key}=${encoded}`)).toEqual([])
  })

  test('are found by the search of their record', async () => {
    const { key } = await field({ type: 'select', options: ['Quicksilver', 'Zinc'] })
    const { body } = await company({ [key]: 'Quicksilver' })
    const hits = await eventually(async () => {
      const { data } = (await alice.get('/search/companies?q=quicksilver')).body
      return data.length > 0 && data
    }, 'the company by the value of its custom field')
    expect(hits).toMatchObject([{ id: body.id }])
  })
})

describe('a field out of use', () => {
  const put = (id: string, body: object) => alice.patch(`/custom-fields/${id}`, body)

  test('is neither shown nor taken, and comes back with its values', async () => {
    const { id, key } = await field({ type: 'number', required: true })
    const kept = await field({})
    const values = { [key]: 7, [kept.key]: 'x' }
    const { body } = await company(values)
    const at = `/companies/${body.id}`
    expect((await put(id, { active: false })).body).toMatchObject({ active: false, version: 2 })
    const read = (await alice.get(at)).body
    expect(read.customFields).toEqual({ [kept.key]: 'x' })
    expect((await alice.get(`/companies?cf.${kept.key}=x`)).body.data[0].customFields).toEqual({ [kept.key]: 'x' })
    expect((await alice.get(`/companies?cf.${key}=7`)).status).toBe(400)
    expect((await alice.patch(at, read)).body.version).toBe(1)
    for (const answer of [await company({ [key]: 8 }), await alice.patch(at, { customFields: { [key]: 8 } })])
      expect([answer.status, answer.body.errors[0].path]).toEqual([400, `customFields.${key}`])
    expect((await company({})).status).toBe(201)
    await alice.patch(at, { customFields: { [kept.key]: 'y' } })
    await alice.put(at, { name: 'z', customFields: { [kept.key]: 'z' } })
    await put(id, { active: true })
    expect((await alice.get(at)).body.customFields).toEqual({ [key]: 7, [kept.key]: 'z' })
    expect((await alice.get(`/companies?cf.${key}=7`)).body.data).toHaveLength(1)
    await put(id, { required: false })
  })

  test('is what a deleted one is, until it is restored', async () => {
    const { id, key } = await field({ label: 'Gone' })
    const { body } = await company({ [key]: 'x' })
    const at = `/companies/${body.id}`
    await alice.delete(`/custom-fields/${id}`)
    const read = (await alice.get(at)).body
    expect(read.customFields).toEqual({})
    expect((await alice.patch(at, { ...read, name: 'y' })).status).toBe(200)
    const again = await alice.post('/custom-fields', { resource: 'company', key, label: 'x', type: 'number' })
    expect([again.status, again.body.code]).toEqual([422, 'FIELD_DELETED'])
    expect((await house.bob.post(`/custom-fields/${id}/restore`)).status).toBe(403)
    expect((await house.charlie.post(`/custom-fields/${id}/restore`)).status).toBe(404)
    expect((await alice.post(`/custom-fields/${id}/restore`)).status).toBe(200)
    expect((await alice.get(at)).body.customFields).toEqual({ [key]: 'x' })
    expect((await alice.get(`/companies?cf.${key}=x`)).body.data).toHaveLength(1)
  })

  test('keeps an option as long as a record holds it', async () => {
    for (const [type, value] of [
      ['select', 'b'],
      ['multiselect', ['a', 'b']],
    ] as const) {
      const { id, key } = await field({ type, options: ['a', 'b', 'c'] })
      const { body } = await company({ [key]: value })
      const refused = await put(id, { options: ['a', 'c'] })
      expect([refused.status, refused.body.code]).toEqual([422, 'OPTION_IN_USE'])
      expect((await put(id, { options: ['d', 'b', 'a'] })).body.options).toEqual(['d', 'b', 'a'])
      await alice.patch(`/companies/${body.id}`, { customFields: { [key]: null } })
      expect((await put(id, { options: ['d'] })).status).toBe(200)
    }
  })
})
