import { io } from 'socket.io-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'

let house: TestApp
let alice: Client
/** Sees no email, phone or birthday of contacts and no value of deals, and does not write job titles. */
let vic: Client

const secret = 'zanzibar@hidden.example'

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice } = house)
  const all = ['contact', 'company', 'deal', 'task'].flatMap((resource) =>
    ['read', 'create', 'update', 'delete'].map((action) => ({ resource, action, scope: 'all' })),
  )
  const hidden = (resource: string, field: string) => ({ resource, field, rule: 'hidden' })
  const role = await alice.build('role', {
    name: 'Veiled',
    permissions: all,
    fieldRules: [
      hidden('contact', 'email'),
      hidden('contact', 'emails'),
      hidden('contact', 'phone'),
      hidden('contact', 'birthday'),
      hidden('contact', 'customFields'),
      hidden('company', 'domain'),
      hidden('deal', 'value'),
      hidden('deal', 'companyId'),
      { resource: 'contact', field: 'jobTitle', rule: 'readOnly' },
    ],
  })
  vic = await house.join('Vic', 'member', { roleId: role.id })
})
afterAll(() => house.stop())

const veiled = () =>
  alice.build('contact', { lastName: 'Veil', email: secret, phone: '+442079460000', birthday: '1815-12-10' })

describe('a hidden member', () => {
  test('stands in no answer, whatever the route', async () => {
    const company = await alice.build('company', { name: 'Veil and sons', domain: 'veil.example' })
    const contact = await veiled()
    await alice.patch(`/contacts/${contact.id}`, { companyId: company.id })
    const answers = [
      await vic.get(`/contacts/${contact.id}`),
      await vic.get(`/contacts/${contact.id}?include=company`),
      await vic.get('/contacts?limit=200&include=company'),
      await vic.get('/contacts?q=Veil'),
      await vic.patch(`/contacts/${contact.id}`, { source: 'fair' }),
      await vic.post('/contacts/bulk', { operations: [{ op: 'update', id: contact.id, data: { source: 'web' } }] }),
      await vic.post(`/contacts/${contact.id}/archive`),
      await vic.post(`/contacts/${contact.id}/unarchive`),
      await vic.get('/search?q=Veil'),
      await vic.get('/search/suggest?q=Vei'),
      await vic.get(`/timeline/contact/${contact.id}`),
      await vic.get('/timeline?limit=200'),
      await vic.get(`/contacts/${contact.id}/duplicates`),
    ]
    for (const answer of answers) {
      expect(answer.status).toBeLessThan(300)
      const text = JSON.stringify(answer.body)
      expect(text).not.toContain(secret)
      expect(text).not.toContain('79460000')
      expect(text).not.toContain('1815-12-10')
      expect(text).not.toContain('veil.example')
    }
    expect((await vic.get(`/contacts/${contact.id}?include=company`)).body).toMatchObject({
      lastName: 'Veil',
      company: { name: 'Veil and sons' },
    })
    expect((await alice.get(`/contacts/${contact.id}`)).body.email).toBe(secret)
  })

  test.each([
    'email=zanzibar@hidden.example',
    'email[startsWith]=zan',
    'sort=birthday',
    'fields=id,email',
    'cf.region=EMEA',
  ])('is no way to filter, sort or ask for contacts: %s', async (query) => {
    await alice.post('/custom-fields', { resource: 'contact', key: 'region', label: 'Region', type: 'text' })
    const answer = await vic.get(`/contacts?${query}`)
    expect([answer.status, answer.body.code]).toEqual([403, 'FORBIDDEN'])
    expect(answer.body.detail).toMatch(/email|birthday|customFields/)
  })

  test('hides the record that it points at', async () => {
    expect((await vic.get('/deals?include=company')).status).toBe(403)
    const { id } = await alice.build('deal')
    expect((await vic.get(`/deals/${id}?include=company`)).status).toBe(403)
    expect((await vic.get(`/deals/${id}?fields=value`)).status).toBe(403)
  })

  test.each(['value', 'probability'])('is in no sum: %s', async (field) => {
    const role = await alice.build('role', {
      name: `Without ${field}`,
      permissions: [{ resource: 'deal', action: 'read', scope: 'all' }],
      fieldRules: [{ resource: 'deal', field, rule: 'hidden' }],
    })
    const who = await house.join('Sam', 'member', { roleId: role.id })
    for (const path of ['/deals/forecast', '/deals/board']) {
      const { status, body } = await who.get(path)
      expect([path, status, body.code]).toEqual([path, 403, 'FORBIDDEN'])
    }
  })

  test('brings nobody a hit, a count or a suggestion', async () => {
    const { id } = await veiled()
    const hitsOf = async (who: Client) => (await who.get('/search/contacts?q=zanzibar')).body
    await eventually(async () => JSON.stringify(await hitsOf(alice)).includes(id), 'it in the search')
    expect(await hitsOf(vic)).toMatchObject({ data: [] })
    expect((await vic.get('/search/suggest?q=zanzibar')).body.data).toEqual([])
    expect((await vic.get('/contacts?q=zanzibar')).body.data).toEqual([])
    expect(JSON.stringify((await vic.get('/search?q=zanzibar')).body)).not.toContain(id)
  })

  test('is in no export', async () => {
    await veiled()
    const asked = await vic.post('/exports', { resource: 'contacts', format: 'jsonl' })
    expect(asked.status).toBe(202)
    const url = await eventually(async () => {
      const { body } = await vic.get(`/exports/${asked.body.id}`)
      return body.status === 'completed' && body.url
    }, 'the export')
    const text = await (await fetch(new URL(url, house.url))).text()
    expect(text).toContain('Veil')
    expect(text).not.toContain(secret)
    expect(text).not.toContain('birthday')
    const named = await vic.post('/exports', { resource: 'contacts', format: 'csv', columns: ['email'] })
    expect(named.status).toBe(400)
  })

  test('is told to no socket', async () => {
    const contact = await veiled()
    const heard: unknown[] = []
    const socket = io(house.url, { path: '/ws', transports: ['websocket'], auth: { token: vic.token } })
    try {
      socket.on('activity:new', (message) => heard.push(message))
      await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject))
      expect(await socket.timeout(5_000).emitWithAck('subscribe', { type: 'contact', id: contact.id })).toEqual({
        ok: true,
      })
      await alice.patch(`/contacts/${contact.id}`, { email: 'timbuktu@hidden.example', source: 'fair' })
      await eventually(async () => JSON.stringify(heard).includes('fair'), 'the activity')
      expect(heard.at(-1)).toMatchObject({ changes: [{ field: 'source', newValue: 'fair' }] })
      expect(JSON.stringify(heard)).not.toContain('timbuktu')
    } finally {
      socket.disconnect()
    }
  })
})

describe('writing', () => {
  test.each([
    ['a hidden member', { email: 'new@example.com' }, 'email'],
    ['a read-only member', { jobTitle: 'Chief' }, 'jobTitle'],
  ])('%s is 403 and names it, by every way', async (_what, values, name) => {
    const { id } = await veiled()
    const answers = [
      await vic.patch(`/contacts/${id}`, values),
      await vic.put(`/contacts/${id}`, { lastName: 'Veil', ...values }),
      await vic.post('/contacts', { lastName: 'New', ...values }),
      await vic.put(`/contacts/by-external-id/veil-${name}`, { lastName: 'New', ...values }),
    ]
    for (const answer of answers) {
      expect([answer.status, answer.body.code]).toEqual([403, 'FORBIDDEN'])
      expect(answer.body.detail).toContain(name)
    }
    const bulk = await vic.post('/contacts/bulk', { operations: [{ op: 'update', id, data: values }] })
    expect(bulk.body.results).toMatchObject([{ status: 403 }])
  })

  test('the whole record leaves what one may not write as it is', async () => {
    const { id } = await veiled()
    await alice.patch(`/contacts/${id}`, { jobTitle: 'Countess', source: 'fair' })
    expect((await vic.put(`/contacts/${id}`, { lastName: 'Put' })).status).toBe(200)
    expect((await alice.get(`/contacts/${id}`)).body).toMatchObject({
      lastName: 'Put',
      email: secret,
      jobTitle: 'Countess',
      source: null,
    })
  })

  test.each(['hidden', 'readOnly'])('the whole record leaves everything that is %s as it is', async (rule) => {
    const key = `kept_${rule.toLowerCase()}`
    await alice.build('customField', { resource: 'deal', key, label: 'Kept', default: 'north' })
    const values = {
      value: 12,
      currency: 'SEK',
      tags: ['kept'],
      contactIds: [(await veiled()).id],
      expectedCloseDate: '2027-01-02',
      source: 'fair',
      customFields: { [key]: 'south' },
    }
    const fields = Object.keys(values)
    const role = await alice.build('role', {
      name: `All of it ${rule}`,
      permissions: ['read', 'update'].map((action) => ({ resource: 'deal', action, scope: 'all' })),
      fieldRules: fields.map((field) => ({ resource: 'deal', field, rule })),
    })
    const who = await house.join('Walt', 'member', { roleId: role.id })
    const { id } = await alice.build('deal', values)
    expect((await who.put(`/deals/${id}`, { name: 'Put' })).status).toBe(200)
    const { body } = await alice.get(`/deals/${id}`)
    expect(body).toMatchObject({ ...values, name: 'Put', version: 2 })
    expect((await alice.get(`/deals?cf.${key}=south`)).body.data).toHaveLength(1)
  })

  test('merging takes no value that one may not write over another', async () => {
    const [kept, other] = [await veiled(), await veiled()]
    const key = 'merged_by'
    await alice.build('customField', { resource: 'contact', key, label: 'Merged by' })
    await alice.patch(`/contacts/${kept.id}`, { jobTitle: 'Countess' })
    await alice.patch(`/contacts/${other.id}`, { jobTitle: 'Analyst', source: 'fair', customFields: { [key]: 'x' } })
    const merge = (...members: string[]) =>
      vic.post(`/contacts/${kept.id}/merge`, {
        fromIds: [other.id],
        take: Object.fromEntries(members.map((member) => [member, other.id])),
      })
    for (const member of ['email', 'jobTitle', `customFields.${key}`]) {
      const { status, body } = await merge('source', member)
      expect([status, body.code]).toEqual([403, 'FORBIDDEN'])
      expect(body.detail).toContain(member.split('.')[0])
    }
    expect((await alice.get(`/contacts/${kept.id}`)).body).toMatchObject({ jobTitle: 'Countess', source: null })
    expect((await merge('source')).status).toBe(200)
    // What the one that stays has no value for comes by itself.
    expect((await alice.get(`/contacts/${kept.id}`)).body).toMatchObject({
      jobTitle: 'Countess',
      source: 'fair',
      customFields: { [key]: 'x' },
    })
  })

  test('what is read-only is seen', async () => {
    const { id } = await veiled()
    await alice.patch(`/contacts/${id}`, { jobTitle: 'Countess' })
    expect((await vic.get(`/contacts/${id}`)).body.jobTitle).toBe('Countess')
    expect((await vic.get('/contacts?jobTitle=Countess')).body.data).not.toEqual([])
  })
})
