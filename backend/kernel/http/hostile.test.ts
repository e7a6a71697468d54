import { request } from 'node:http'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Answer } from '../../test/answer.ts'
import { startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'

let house: TestApp
let alice: Client
let contact: { id: string }

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice } = house)
  contact = await alice.build('contact')
})
afterAll(() => house.stop())

const json = { 'content-type': 'application/json' }
const create = (body: string | Buffer, headers: Record<string, string> = json) =>
  alice.raw('POST', '/contacts', body, headers)

/** Holds an answer to what every refusal is: a problem with this status and code that tells nothing of our insides. */
function isProblem(answer: Answer, status: number, code: string): void {
  expect([answer.status, answer.body.code]).toEqual([status, code])
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  expect(answer.body).toMatchObject({ status, requestId: answer.headers.get('x-request-id'), type: expect.any(String) })
  expect(JSON.stringify(answer.body)).not.toMatch(/select |insert |node_modules|\.ts\b|at Object/)
}

describe('bodies', () => {
  test.each([
    '{',
    '{"firstName":"Ada"',
    '{firstName:"Ada"}',
    '{"firstName":"Ada",}',
    "{'firstName':'Ada'}",
    '{"firstName":"\\x"}',
    '{"firstName":"a\nb"}',
    '{"leadScore":01}',
    '{"leadScore":NaN}',
    '\u0000',
    '{"firstName":"Ada"} {}',
    'firstName=Ada',
  ])('%j is no JSON', async (body) => isProblem(await create(body), 400, 'MALFORMED_JSON'))

  test('that are not UTF-8 are refused', async () => {
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80]]) {
      const body = Buffer.concat([Buffer.from('{"firstName":"'), Buffer.from(bytes), Buffer.from('"}')])
      isProblem(await create(body), 400, 'MALFORMED_JSON')
    }
    isProblem(await create(Buffer.from('\ufeff{"firstName":"Ada"}', 'utf16le')), 400, 'MALFORMED_JSON')
  })

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json; charset=utf-16',
    'application/json; charset=iso-8859-1',
    'application/jsonp',
    'nonsense',
    '',
  ])('of the type %j are 415', async (type) => {
    isProblem(await create('{"firstName":"Ada"}', { 'content-type': type }), 415, 'UNSUPPORTED_MEDIA_TYPE')
  })

  test.each([
    'application/json; charset=UTF-8',
    'Application/JSON',
    'application/merge-patch+json',
    'application/json;charset="utf-8"',
  ])('of the type %s are read', async (type) =>
    expect((await create('{"firstName":"Ada"}', { 'content-type': type })).status).toBe(201),
  )

  test.each(['[]', '"x"', '7', 'null', 'true', '[{"firstName":"Ada"}]'])('%s is no object', async (body) => {
    isProblem(await create(body), 400, 'VALIDATION_FAILED')
    isProblem(await alice.raw('PATCH', `/contacts/${contact.id}`, body, json), 400, 'VALIDATION_FAILED')
    isProblem(await alice.raw('POST', '/contacts/bulk', body, json), 400, 'VALIDATION_FAILED')
  })

  test('arrays and objects in the wrong place are named', async () => {
    const id = contact.id
    for (const body of [
      { firstName: ['Ada'] },
      { firstName: { $ne: null } },
      { address: ['London'] },
      { address: 'London' },
      { tags: { 0: 'vip' } },
      { customFields: [] },
      { companyId: { id } },
      { emails: 'a@example.com' },
      { consent: [true] },
      { leadScore: [5] },
    ]) {
      const answer = await alice.patch(`/contacts/${id}`, body)
      isProblem(answer, 400, 'VALIDATION_FAILED')
      expect(answer.body.errors[0].path).toBe(Object.keys(body)[0])
    }
  })

  test('nested 100,000 deep are refused wherever they stand', async () => {
    const deep = '['.repeat(100_000) + ']'.repeat(100_000)
    isProblem(await create(deep), 400, 'VALIDATION_FAILED')
    isProblem(await create('['.repeat(100_000)), 400, 'MALFORMED_JSON')
    for (const member of ['firstName', 'address', 'customFields', 'tags', 'createdAt', 'id', 'unknown'])
      isProblem(
        await alice.raw('PATCH', `/contacts/${contact.id}`, `{"${member}":${deep}}`, json),
        400,
        'VALIDATION_FAILED',
      )
    for (const levels of [1_000, 5_000, 20_000]) {
      const some = '['.repeat(levels) + ']'.repeat(levels)
      isProblem(await alice.raw('PATCH', `/contacts/${contact.id}`, `{"name":${some}}`, json), 400, 'VALIDATION_FAILED')
    }
    const operations = `{"operations":[${deep},{"op":"create","data":{"tags":${deep}}}]}`
    const { body } = await alice.raw('POST', '/contacts/bulk', operations, json)
    expect(body.results.map((result: { status: number }) => result.status)).toEqual([400, 400])
  })

  test('up to 1 MiB are read, above that 413', async () => {
    const filled = (size: number) => `{"firstName":"${'a'.repeat(size - 16)}"}`
    isProblem(await create(filled(1024 * 1024)), 400, 'VALIDATION_FAILED')
    isProblem(await create(filled(1024 * 1024 + 1)), 413, 'PAYLOAD_TOO_LARGE')
    const bomb = gzipSync(Buffer.alloc(20 * 1024 * 1024, ' '))
    isProblem(await create(bomb, { ...json, 'content-encoding': 'gzip' }), 413, 'PAYLOAD_TOO_LARGE')
    const broken = await create('no gzip', { ...json, 'content-encoding': 'gzip' })
    expect([400, 415]).toContain(broken.status)
    isProblem(await create('{}', { ...json, 'content-encoding': 'secret' }), 415, 'UNSUPPORTED_MEDIA_TYPE')
  })

  test('long strings are refused in every member', async () => {
    const long = 'a'.repeat(1_000_000)
    for (const member of [
      'firstName',
      'email',
      'phone',
      'timezone',
      'locale',
      'birthday',
      'stage',
      'companyId',
      'name',
      long,
    ])
      isProblem(
        await alice.patch(`/contacts/${contact.id}`, { [member]: long.slice(0, 40_000) }),
        400,
        'VALIDATION_FAILED',
      )
    isProblem(await alice.patch(`/contacts/${contact.id}`, { address: { city: long } }), 400, 'VALIDATION_FAILED')
    isProblem(
      await alice.post('/contacts', { firstName: 'x', tags: Array(60_000).fill('a') }),
      400,
      'VALIDATION_FAILED',
    )
  })

  test("members with JavaScript's own names are unknown members", async () => {
    for (const name of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty']) {
      const answer = await create(`{"firstName":"Ada","${name}":{"isAdmin":true}}`)
      isProblem(answer, 400, 'VALIDATION_FAILED')
      expect(answer.body.errors[0].path).toBe(name)
      isProblem(await create(`{"firstName":"Ada","address":{"${name}":"x"}}`), 400, 'VALIDATION_FAILED')
      isProblem(await create(`{"firstName":"Ada","customFields":{"${name}":"x"}}`), 400, 'VALIDATION_FAILED')
      const { body } = await alice.raw(
        'POST',
        '/contacts/bulk',
        `{"operations":[{"op":"create","data":{"firstName":"x","${name}":1}}]}`,
        json,
      )
      expect([name, body.results?.[0]?.status ?? body.status]).toEqual([name, 400])
    }
    const escaped = await create('{"firstName":"Ada","customFields":{"\\u005f_proto__":"x"}}')
    expect([escaped.status, escaped.body.errors?.[0]?.path]).toEqual([400, 'customFields.__proto__'])
    const spoken = await alice.raw('POST', '/notes', '{"body":"__proto__ \\u00e4"}', json)
    expect(spoken.body.body).toBe('__proto__ ä')
    expect(Object.hasOwn(Object.prototype, 'isAdmin')).toBe(false)
  })
})

describe('addresses', () => {
  test('an id that is no UUID names nothing', async () => {
    for (const id of [
      '1',
      'x',
      "1' or '1'='1",
      '../users',
      contact.id.slice(1),
      `${contact.id}0`,
      '%00',
      'null',
      '__proto__',
    ]) {
      const at = `/contacts/${encodeURIComponent(id)}`
      for (const answer of [await alice.get(at), await alice.patch(at, { firstName: 'x' }), await alice.delete(at)])
        isProblem(answer, 404, 'NOT_FOUND')
      isProblem(await alice.post(`${at}/restore`), 404, 'NOT_FOUND')
    }
    expect((await alice.get(`/contacts/${contact.id.toUpperCase()}`)).body.id).toBe(contact.id)
  })

  test('a broken percent-encoding is a clear 4xx', async () => {
    for (const path of ['/contacts/%', '/contacts/%zz', '/contacts/%ff', '/%c0%ae', '/notes/by-external-id/%E0%A4%A'])
      isProblem(await alice.get(path), 404, 'NOT_FOUND')
    for (const query of ['firstName=%', 'firstName=%zz', '%=1', '%ff=1', '=1', '&&', '?', 'firstName=%00', '%00=1']) {
      const answer = await alice.get(`/contacts?${query}`)
      expect([query, [200, 400].includes(answer.status)]).toEqual([query, true])
    }
  })

  test('filters cannot speak SQL', async () => {
    for (const text of ["' or 1=1 --", "'; drop table contacts; --", '$1', '%27', '\\', '{}', '%', '_', "\\' or 1=1"]) {
      const value = encodeURIComponent(text)
      for (const operator of ['', '[contains]', '[startsWith]', '[in]'])
        expect((await alice.get(`/contacts?firstName${operator}=${value}`)).body.data).toEqual([])
      expect((await alice.get(`/contacts?q=${value}`)).status).toBe(200)
      for (const name of [
        `sort=${value}`,
        `fields=${value}`,
        `include=${value}`,
        `${value}=1`,
        `firstName[${value}]=1`,
      ])
        expect([name, (await alice.get(`/contacts?${name}`)).status]).toEqual([name, 400])
    }
    expect((await alice.get('/contacts')).body.data).toHaveLength(
      (await alice.get('/contacts?sort=name')).body.data.length,
    )
  })

  test('too many values or parameters are a clear 4xx', async () => {
    isProblem(
      await alice.get(`/contacts?stage[in]=${Array(1_000).fill('customer').join(',')}`),
      400,
      'VALIDATION_FAILED',
    )
    isProblem(
      await alice.get(`/contacts?${Array.from({ length: 500 }, (_none, i) => `x${i}=1`).join('&')}`),
      400,
      'VALIDATION_FAILED',
    )
    isProblem(await alice.get(`/contacts?firstName=${'a'.repeat(5_000)}`), 400, 'VALIDATION_FAILED')
    isProblem(await alice.get(`/contacts?q=${'a'.repeat(201)}`), 400, 'VALIDATION_FAILED')
  })

  test('a path that is not offered is 404, a method 405 with Allow', async () => {
    for (const path of [
      '/nothing',
      '/contacts/',
      '/Contacts',
      '/contacts//',
      `/contacts/${contact.id}/nothing`,
      '',
      '/',
    ])
      isProblem(await alice.get(path), 404, 'NOT_FOUND')
    const wrong = await alice.delete('/contacts')
    isProblem(wrong, 405, 'METHOD_NOT_ALLOWED')
    expect(wrong.headers.get('allow')?.split(', ').sort()).toEqual(['GET', 'HEAD', 'POST'])
    const one = await alice.post(`/contacts/${contact.id}`, {})
    isProblem(one, 405, 'METHOD_NOT_ALLOWED')
    expect(one.headers.get('allow')?.split(', ').sort()).toEqual(['DELETE', 'GET', 'HEAD', 'PATCH', 'PUT'])
  })

  test('without a token everything is 401, also what does not exist', async () => {
    const { nobody } = house
    for (const path of [
      '/contacts',
      '/nothing',
      '/contacts/%zz',
      '/contacts/1',
      '',
      '/',
      `/contacts/${contact.id}/restore`,
    ]) {
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
        const answer = await nobody.raw(method, path, method === 'GET' ? undefined : '{', json)
        isProblem(answer, 401, 'UNAUTHENTICATED')
      }
    }
    for (const authorization of [
      'Bearer',
      'Bearer x',
      'Bearer a.b.c',
      `Basic ${alice.token}`,
      alice.token,
      `Bearer ${alice.token}x`,
    ])
      isProblem(await nobody.get('/contacts', { authorization }), 401, 'UNAUTHENTICATED')
  })
})

describe('requests', () => {
  test('a request id is taken over when it is one, else made', async () => {
    for (const id of ['a', 'A-z.0_9', 'x'.repeat(128)])
      expect((await alice.get('/contacts', { 'X-Request-Id': id })).headers.get('x-request-id')).toBe(id)
    for (const id of ['', 'a b', 'x'.repeat(129), '<script>', 'a,b', 'ä']) {
      const { headers } = await alice.get('/nothing', { 'X-Request-Id': id })
      expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
    }
  })

  test('what is not HTTP is answered as a problem, and the server lives on', async () => {
    const { port } = new URL(house.url)
    const said = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), '127.0.0.1', () => socket.end('NONSENSE\r\n\r\n'))
      let text = ''
      socket.on('data', (part) => (text += part))
      socket.on('close', () => resolve(text))
      socket.on('error', reject)
    })
    expect(said).toMatch(/^HTTP\/1\.1 400 /)
    expect(said).toContain('application/problem+json')
    expect((await alice.get('/contacts')).status).toBe(200)
  })

  test('a body that ends early harms nobody', async () => {
    const { port } = new URL(house.url)
    await new Promise<void>((resolve) => {
      const headers = { ...json, authorization: `Bearer ${alice.token}`, 'content-length': 1_000 }
      const half = request({ port, host: '127.0.0.1', method: 'POST', path: '/api/v1/contacts', headers })
      half.on('error', () => resolve())
      half.on('close', () => resolve())
      half.write('{"firstName":"Half', () => half.destroy())
    })
    expect((await alice.get('/contacts?firstName=Half')).body.data).toEqual([])
  })
})
