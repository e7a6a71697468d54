import { io } from 'socket.io-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { recordTypes } from '../../entities/records.ts'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'
import { unique } from '../../test/operations/call.ts'
import { exportTable } from '../../test/tables.ts'

let house: TestApp
let alice: Client
/** Does not see the email addresses of contacts and leads. */
let vic: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice } = house)
  vic = await veiled('contact.email', 'lead.email')
})
afterAll(() => house.stop())

async function roleHiding(...members: string[]): Promise<string> {
  const permissions = [...recordTypes].flatMap((resource) =>
    ['read', 'create', 'update', 'delete'].map((action) => ({ resource, action, scope: 'all' })),
  )
  const fieldRules = members.map((member) => {
    const [resource, field] = member.split('.')
    return { resource, field, rule: 'hidden' }
  })
  return (await alice.build('role', { name: unique('Veiled'), permissions, fieldRules })).id
}

const veiled = async (...members: string[]): Promise<Client> =>
  house.join('Vic', 'member', { roleId: await roleHiding(...members) })

const nameless = { firstName: null, lastName: null, companyName: undefined }

/** A record that has no name but its email address, which nobody else has. */
async function known(type: 'contact' | 'lead', values: Record<string, unknown> = {}) {
  const word = unique('zanzibar')
    .replaceAll(/[^a-z0-9]/gi, '')
    .toLowerCase()
  const { id } = await alice.build(type, { ...nameless, email: `${word}@${word}.example`, ...values })
  return { id, word }
}

const said = (answers: unknown) => JSON.stringify(answers).toLowerCase()

describe.each([
  ['contact', 'contacts', 'Contact'],
  ['lead', 'leads', 'Lead'],
] as const)('a %s that is called by a hidden address', (type, path, neutral) => {
  test('is called by what kind of record it is, in every answer', async () => {
    const jobTitle = unique('Cartographer')
    const { id, word } = await known(type, { jobTitle })
    const { id: second } = await known(type, { jobTitle })
    await eventually(async () => (await alice.get(`/search/${path}?q=${jobTitle}`)).body.data.length === 2, 'both')
    const records = [
      await vic.get(`/${path}/${id}`),
      await vic.get(`/${path}/${id}?fields=name`),
      await vic.get(`/${path}/${id}?fields=id,name,firstName`),
      await vic.patch(`/${path}/${id}`, { source: 'fair' }),
      await vic.put(`/${path}/${id}`, { lastName: 'Passing', jobTitle }),
      await alice.patch(`/${path}/${id}`, { lastName: null }),
      await vic.post(`/${path}/${id}/archive`),
      await vic.post(`/${path}/${id}/unarchive`),
    ]
    expect(records.map(({ status, body }) => [status, body.name])).toEqual(
      records.map((_answer, index) => [200, index === 4 ? 'Passing' : index === 5 ? records[5]?.body.name : neutral]),
    )
    const lists = [
      await vic.get(`/${path}?jobTitle=${jobTitle}`),
      await vic.get(`/${path}?jobTitle=${jobTitle}&fields=name`),
      await vic.get(`/${path}?jobTitle=${jobTitle}&fields=name,ownerId&include=owner`),
      await vic.get(`/${path}?q=${jobTitle}`),
    ]
    expect(lists.map(({ body }) => body.data.map(({ name }: { name: string }) => name))).toEqual(
      lists.map(() => [neutral, neutral]),
    )
    const hits = [await vic.get(`/search/${path}?q=${jobTitle}`), await vic.get(`/search/suggest?q=${jobTitle}`)]
    for (const { body } of hits)
      expect(body.data.map(({ title }: { title: string }) => title)).toEqual([neutral, neutral])
    const bulk = await vic.post(`/${path}/bulk`, { operations: [{ op: 'update', id, data: { source: 'web' } }] })
    const merged = await vic.post(`/${path}/${id}/merge`, { fromIds: [second] })
    expect([bulk.body.results[0].record.name, merged.body.name]).toEqual([neutral, neutral])
    const table = await exportTable(vic, { resource: path, format: 'jsonl', filters: { jobTitle } })
    expect(table.bytes.toString()).toContain(`"name":"${neutral}"`)
    expect(said([records.toSpliced(5, 1), lists, hits, bulk, merged, table.bytes.toString()])).not.toContain(word)
  })

  test('is found by no word of it, nor put in order by it', async () => {
    const { id, word } = await known(type)
    await eventually(async () => (await alice.get(`/search?q=${word}`)).body.data.length > 0, 'it in the search')
    await alice.timeline(type, id, 1)
    expect((await alice.get(`/timeline/search?q=${word}`)).body.data).toHaveLength(1)
    for (const find of [
      `/${path}?q=${word}`,
      `/search?q=${word}`,
      `/search/suggest?q=${word}`,
      `/timeline/search?q=${word}`,
    ])
      expect([find, (await vic.get(find)).body.data]).toEqual([find, []])
    for (const query of [
      `name=${word}`,
      `name[contains]=${word}`,
      'name[startsWith]=z',
      'sort=name',
      'sort=-createdAt,name',
    ]) {
      const { status, body } = await vic.get(`/${path}?${query}`)
      expect([query, status, body.detail]).toEqual([query, 403, expect.stringContaining('email')])
    }
    expect((await (await veiled(`${type}.phone`)).get(`/${path}?sort=name`)).status).toBe(200)
  })

  test('is called so in its timeline, and what was done to it is found by that', async () => {
    const { id, word } = await known(type)
    await vic.patch(`/${path}/${id}`, { source: 'fair' })
    await alice.patch(`/${path}/${id}`, { email: `other.${word}@${word}.example` })
    await alice.timeline(type, id, 3)
    const answers = [
      await vic.get(`/timeline/${type}/${id}`),
      await vic.get(`/${path}/${id}/timeline`),
      await vic.get(`/timeline?entityType=${type}&limit=3`),
      await vic.get('/timeline/me?limit=1'),
      await vic.get(`/timeline/search?q=${neutral}&limit=3`),
    ]
    for (const { body } of answers) {
      expect(body.data.length).toBeGreaterThan(0)
      for (const { entityId, entityName, description } of body.data)
        if (entityId === id)
          expect([entityName, description]).toEqual([neutral, expect.stringContaining(`“${neutral}”`)])
    }
    expect(answers[0]?.body.data[0].changes).toEqual([])
    const { id: other, word: its } = await known(type)
    await vic.post(`/${path}/${id}/merge`, { fromIds: [other] })
    const told = await eventually(async () => {
      const { data } = (await vic.get(`/${path}/${id}/timeline`)).body
      return data.find(({ metadata }: { metadata: { verb?: string } }) => metadata.verb === 'merged')
    }, 'the merge')
    expect(told.metadata.merged).toEqual([{ id: other, name: neutral }])
    expect(said([answers, await vic.get(`/${path}/${id}/timeline`)])).not.toMatch(new RegExp(`${word}|${its}`))
  })

  test('is called so in what a socket is told', async () => {
    const { id, word } = await known(type)
    const heard: { entityName: string; changes: { field: string }[] }[] = []
    const socket = io(house.url, { path: '/ws', transports: ['websocket'], auth: { token: vic.token } })
    try {
      socket.on('activity:new', (message) => heard.push(message))
      await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject))
      await socket.timeout(5_000).emitWithAck('subscribe', { type, id })
      await alice.patch(`/${path}/${id}`, { email: `other.${word}@${word}.example`, source: 'fair' })
      // That it was made may still be on its way.
      const isChange = ({ changes }: (typeof heard)[number]) => changes.map(({ field }) => field).join() === 'source'
      await eventually(async () => heard.some(isChange), 'the activity')
      expect(heard.map(({ entityName }) => entityName)).toEqual(heard.map(() => neutral))
      expect(said(heard)).not.toContain(word)
    } finally {
      socket.disconnect()
    }
  })

  test('is called so in an inbox, also where it was written before', async () => {
    const sam = await house.join('Sam', 'member')
    const { id, word } = await known(type, { ownerId: sam.userId })
    const inboxOf = async (who: Client, count: number) =>
      eventually(async () => {
        const { data } = (await who.get('/notifications')).body
        return data.length === count && data
      }, 'the entry')
    const [before] = await inboxOf(sam, 1)
    expect(before.message).toContain(word)
    await alice.patch(`/users/${sam.userId}`, { roleId: await roleHiding(`${type}.email`) })
    await eventually(async () => !said(await sam.get(`/${path}/${id}`)).includes(word), 'his new role')
    await alice.post(`/${path}/${id}/comments`, { body: `Ask @[Sam](${sam.userId})` })
    await inboxOf(sam, 2)
    const answers = [
      await sam.get('/notifications'),
      await sam.get('/users/me/notifications'),
      await sam.get(`/notifications/${before.id}`),
      await sam.patch(`/notifications/${before.id}/read`),
      await sam.patch(`/notifications/${before.id}/unread`),
    ]
    expect(answers[0]?.body.data.map(({ message }: { message: string }) => message)).toEqual([
      `Alice mentioned you on the ${type} “${neutral}”`,
      `Alice assigned the ${type} “${neutral}” to you`,
    ])
    expect(said(answers)).not.toContain(word)
  })
})

test.each([
  ['contact', ['contact.email'], { firstName: 'Ada', lastName: 'King', email: 'a@example.com' }, 'Ada King'],
  ['contact', ['contact.firstName'], { firstName: 'Ada', lastName: 'King', email: 'a@example.com' }, 'King'],
  [
    'contact',
    ['contact.firstName', 'contact.lastName'],
    { firstName: 'Ada', lastName: 'King', email: 'a@b.co' },
    'a@b.co',
  ],
  ['lead', ['lead.email'], { ...nameless, companyName: 'Engines', email: 'a@example.com' }, 'Engines'],
  ['lead', ['lead.companyName'], { ...nameless, companyName: 'Engines', email: 'a@example.com' }, 'a@example.com'],
  ['lead', ['lead.companyName', 'lead.email'], { ...nameless, companyName: 'Engines', email: 'a@example.com' }, 'Lead'],
])('a %s is called by what one sees of it without %s', async (type, members, values, name) => {
  const who = await veiled(...members)
  const { id } = await alice.build(type, values)
  for (const query of ['', '?fields=name']) expect((await who.get(`/${type}s/${id}${query}`)).body.name).toBe(name)
})

test('a deal shows its contacts, and a conversion whom the team knows, under such names', async () => {
  const phone = '+44 20 7946 0333'
  const { id, word } = await known('contact', { phone })
  const deal = await alice.build('deal', { contactIds: [id] })
  const lead = await alice.build('lead', { lastName: 'Known', phone })
  const answers = [
    await vic.get(`/deals/${deal.id}?include=contacts`),
    await vic.get(`/deals/${deal.id}?fields=name&include=contacts`),
    await (await veiled('contact.email')).get(`/leads/${lead.id}/convert`),
  ]
  expect(answers[0]?.body.contacts).toMatchObject([{ name: 'Contact' }])
  expect(answers[2]?.body.candidates).toEqual([{ type: 'contact', id, name: 'Contact' }])
  expect(said(answers)).not.toContain(word)
})

test('duplicates are shown under such names', async () => {
  const phone = '+44 20 7946 0444'
  const { id, word } = await known('contact', { phone })
  await known('contact', { phone })
  const [pair] = await eventually(async () => {
    const { data } = (await vic.get(`/contacts/${id}/duplicates`)).body
    return data.length > 0 && data
  }, 'the pair')
  expect(pair.records).toMatchObject([{ name: 'Contact' }, { name: 'Contact' }])
  const checked = await vic.post('/contacts/duplicates/check', { phone })
  expect(said([pair, checked])).not.toContain(word)
})
