import { io } from 'socket.io-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { recordTypes } from '../../entities/records.ts'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'
import { unique } from '../../test/operations/call.ts'
import { importTable, sendTable } from '../../test/tables.ts'

let house: TestApp
let alice: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice } = house)
})
afterAll(() => house.stop())

/** Somebody who may do everything with records, but does not see these members: `contact.email`. */
async function veiled(...members: string[]): Promise<Client> {
  const permissions = recordTypes.flatMap((resource) =>
    ['read', 'create', 'update', 'delete'].map((action) => ({ resource, action, scope: 'all' })),
  )
  const fieldRules = members.map((member) => {
    const [resource, field] = member.split('.')
    return { resource, field, rule: 'hidden' }
  })
  const role = await alice.build('role', { name: unique('Veiled'), permissions, fieldRules })
  return house.join('Vic', 'member', { roleId: role.id })
}

describe('converting a lead', () => {
  test('does not tell the address of whom the team knows', async () => {
    const vic = await veiled('contact.email')
    const email = `${unique('zanzibar')}@example.com`
    const phone = '+44 20 7946 0111'
    const contact = await alice.build('contact', { lastName: 'Known', email, phone })
    const lead = await alice.build('lead', { lastName: 'Known', email: 'other@example.com', phone })
    const preview = await vic.get(`/leads/${lead.id}/convert`)
    expect(preview.body.candidates).toEqual([{ type: 'contact', id: contact.id, name: 'Ada Known' }])
    const refused = await vic.post(`/leads/${lead.id}/convert`)
    expect([refused.status, refused.body.candidates]).toEqual([409, preview.body.candidates])
    expect((await alice.post(`/leads/${lead.id}/convert`)).body.candidates).toMatchObject([{ email }])
  })

  test('finds nobody by what one does not see', async () => {
    const email = `${unique('timbuktu')}@example.com`
    await alice.build('contact', { lastName: 'Found', email })
    const guess = await alice.build('lead', { lastName: 'Guess', email })
    for (const vic of [await veiled('contact.email'), await veiled('lead.email')])
      expect((await vic.get(`/leads/${guess.id}/convert`)).body).toEqual({ candidates: [] })
  })

  test('carries nothing over that one does not see', async () => {
    const vic = await veiled('lead.email')
    const lead = await alice.build('lead', { lastName: 'Carried', email: 'carried@example.com' })
    const refused = await vic.post(`/leads/${lead.id}/convert`)
    expect([refused.status, refused.body.detail]).toEqual([403, expect.stringContaining('email')])
  })
})

describe('duplicates', () => {
  test('show and weigh only what one sees', async () => {
    const email = `${unique('samarkand')}@example.com`
    const lastName = unique('Twin')
    const a = await alice.build('contact', { lastName, email, phone: '+44 20 7946 0222' })
    const b = await alice.build('contact', { lastName, email })
    const url = `/contacts/${a.id}/duplicates`
    const [pair] = await eventually(async () => {
      const { data } = (await alice.get(url)).body
      return data.length > 0 && data
    }, 'the pair')
    expect(pair.reasons).toMatchObject([{ field: 'email', value: email.toLowerCase() }, { field: 'name' }])
    const vic = await veiled('contact.email', 'contact.emails', 'contact.phone', 'contact.phones')
    const answers = [await vic.get(url), await vic.get('/contacts/duplicates?limit=200')]
    for (const { body } of answers) {
      expect(body.data).toMatchObject([
        { score: 60, reasons: [{ field: 'name' }], records: [{ lastName }, { lastName }] },
      ])
      expect(JSON.stringify(body)).not.toMatch(/samarkand|7946|email|phone/i)
    }
    expect((await vic.get('/contacts/duplicates?minScore=61')).body.data).toEqual([])
    expect((await alice.get('/contacts/duplicates?minScore=61')).body.data).toHaveLength(1)
    // What only a hidden member tells is no pair to him.
    await alice.patch(`/contacts/${b.id}`, { firstName: null, lastName: null })
    await eventually(async () => (await alice.get(url)).body.data[0]?.reasons.length === 1, 'the pair without a name')
    expect((await vic.get(url)).body.data).toEqual([])
  })

  test('cannot be guessed by what one does not see', async () => {
    const email = `${unique('bukhara')}@example.com`
    await alice.build('contact', { lastName: 'Guessed', emails: [email] })
    const check = (who: Client) => who.post('/contacts/duplicates/check', { email })
    await eventually(async () => (await check(alice)).body.data.length === 1, 'who has the address')
    expect((await check(await veiled('contact.emails'))).body.data).toEqual([])
    const refused = await check(await veiled('contact.email'))
    expect([refused.status, refused.body.detail]).toEqual([403, expect.stringContaining('email')])
  })
})

describe('a score', () => {
  test('is explained by what one sees, and still adds up', async () => {
    const rule = (name: string, field: string, operator: string, value: unknown, points: number) =>
      alice.build('scoringRule', { name, field, operator, value, points })
    await rule('Decides', 'jobTitle', 'contains', 'chief', 20)
    await rule('From Merv', 'email', 'contains', 'merv', 10)
    await rule('Buys', 'deals.open', 'gt', 0, 30)
    const { id } = await alice.build('contact', { jobTitle: 'Chief', email: `${unique('merv')}@example.com` })
    await alice.build('deal', { contactIds: [id] })
    const vic = await veiled('contact.email', 'deal.contactIds')
    const { body } = await vic.get(`/contacts/${id}/score`)
    expect(body).toMatchObject({
      score: 60,
      rules: [
        { name: 'Decides', points: 20 },
        { id: null, points: 40 },
      ],
    })
    expect(JSON.stringify(body)).not.toMatch(/merv|deals/i)
    expect((await (await veiled('contact.leadScore')).get(`/contacts/${id}/score`)).status).toBe(403)
    for (const one of (await alice.get('/scoring-rules')).body.data) await alice.delete(`/scoring-rules/${one.id}`)
  })
})

describe('the lines of a deal', () => {
  test('are told nobody who does not see its value: by no call, activity or socket', async () => {
    const vic = await veiled('deal.value')
    const { id } = await alice.build('deal', { value: null })
    const heard: { metadata: { verb?: string } }[] = []
    const socket = io(house.url, { path: '/ws', transports: ['websocket'], auth: { token: vic.token } })
    try {
      socket.on('activity:new', (message) => heard.push(message))
      await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject))
      await socket.timeout(5_000).emitWithAck('subscribe', { type: 'deal', id })
      const line = { name: 'Engine', unitPrice: 7357001 }
      const { body: made } = await alice.post(`/deals/${id}/line-items`, line)
      const added = await eventually(
        async () => heard.find(({ metadata }) => metadata.verb === 'line_added'),
        'the activity',
      )
      expect(added).toMatchObject({ changes: [] })
      await alice.timeline('deal', id, 2)
      const lines = `/deals/${id}/line-items`
      const answers = [
        await vic.get(`/deals/${id}`),
        await vic.get(`/deals/${id}/timeline`),
        await vic.get(lines),
        await vic.get(`${lines}/${made.id}`),
        await vic.post(lines, line),
        await vic.patch(`${lines}/${made.id}`, { quantity: 2 }),
        await vic.delete(`${lines}/${made.id}`),
      ]
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 403, 403, 403, 403, 403])
      expect(JSON.stringify([heard, answers])).not.toContain('7357001')
    } finally {
      socket.disconnect()
    }
  })

  test('take no price over that one does not see', async () => {
    const product = await alice.build('product', { price: 7357002 })
    const vic = await veiled('product.price')
    const { id } = await vic.build('deal')
    const lines = `/deals/${id}/line-items`
    expect((await vic.post(lines, { productId: product.id })).body.detail).toContain('price')
    expect((await vic.post(lines, { productId: product.id, unitPrice: 1 })).status).toBe(201)
  })
})

test('what tells a hidden member is hidden with it', async () => {
  const hidden = (resource: string, field: string) => ({ resource, field, rule: 'hidden' })
  const role = await alice.build('role', {
    name: 'Whole',
    fieldRules: [hidden('deal', 'value'), hidden('contact', 'email')],
  })
  const all = [hidden('deal', 'linesTotal'), hidden('deal', 'lineItems'), hidden('contact', 'emails')]
  expect(role.fieldRules).toEqual(expect.arrayContaining(all))
  expect((await alice.patch(`/roles/${role.id}`, { fieldRules: role.fieldRules })).status).toBe(200)
})

describe('the search', () => {
  test('shows neither tags nor what a hidden member points at, and is not narrowed by them', async () => {
    const name = unique('Khiva')
    const tag = unique('oasis')
    const company = await alice.build('company', { name: `${name} Ltd` })
    const contact = await alice.build('contact', { lastName: name, companyId: company.id, tags: [tag] })
    const note = await alice.build('note', { body: `About ${name}`, tags: [tag] })
    const found = async (who: Client, path: string) => (await who.get(path)).body
    const hits = (await eventually(async () => {
      const body = await found(alice, `/search?q=${name}`)
      return body.data.length === 3 && body
    }, 'the hits')) as { data: { id: string }[] }
    expect(hits).toMatchObject({ facets: { tags: { [tag]: 2 } } })
    const vic = await veiled('contact.tags', 'contact.companyId')
    const seen = await found(vic, `/search?q=${name}`)
    expect(seen.facets.tags).toEqual({ [tag]: 1 })
    const hit = seen.data.find(({ id }: { id: string }) => id === contact.id)
    expect(hit).toMatchObject({ subtitle: null, tags: [] })
    expect((await found(vic, `/search/suggest?q=${name}&types=contact`)).data).toMatchObject([{ subtitle: null }])
    expect((await found(vic, `/search?q=${name}&tags=${tag}`)).data).toMatchObject([{ id: note.id }])
    expect((await vic.get(`/search/contacts?tags=${tag}`)).status).toBe(403)
  })

  test('finds nobody by the beginning of what is hidden beside a misspelt word', async () => {
    const name = unique('merkantil').replaceAll(/[0-9]/g, 'x')
    const misspelt = `${name.slice(0, 4)}q${name.slice(5)}`
    const { id } = await alice.build('contact', { firstName: null, lastName: name, phone: '+1 555 7357003' })
    const found = async (who: Client, q: string) => (await who.get(`/search/contacts?q=${q}`)).body
    await eventually(async () => (await found(alice, `${misspelt} 15557357003`)).data[0]?.id === id, 'the hit')
    const vic = await veiled('contact.phone')
    expect((await found(vic, misspelt)).data).toMatchObject([{ id }])
    for (const q of [`${misspelt} 1555`, `${misspelt} 15557357003`, `${name} 1555`]) {
      expect(await found(vic, q)).toMatchObject({ data: [], page: { total: 0 } })
      expect((await vic.get(`/contacts?q=${q}`)).body.data).toEqual([])
    }
  })

  test('ranks nobody by what is hidden', async () => {
    const word = unique('Rank')
    const ids = []
    for (const email of ['none@example.com', `${word}@example.com`, 'others@example.com'])
      ids.push((await alice.build('contact', { lastName: 'Ranked', jobTitle: `About ${word}`, email })).id)
    const found = async (who: Client): Promise<{ id: string; score: number }[]> =>
      (await who.get(`/search/contacts?q=${word}`)).body.data
    const seen = await eventually(async () => {
      const hits = await found(alice)
      return hits.length === 3 && hits
    }, 'the hits')
    expect(seen[0]?.id).toBe(ids[1])
    const hits = await found(await veiled('contact.email'))
    expect(hits.map(({ id }) => id)).toEqual(ids.toReversed())
    expect(new Set(hits.map(({ score }) => score)).size).toBe(1)
  })

  test('looks for what was meant whether or not what is hidden matches', async () => {
    const word = unique('Karavan').replaceAll(/[0-9]/g, 'x')
    const typed = `${word.slice(0, 3)}q${word.slice(4)}`
    const mine = await alice.build('contact', { firstName: null, lastName: `${word} 7357004` })
    // Its name is the word that is typed, and its hidden number the other: what is found by both is not seen.
    await alice.build('contact', { firstName: null, lastName: typed, phone: '7357004' })
    const found = async (who: Client) => (await who.get(`/search/contacts?q=${typed} 7357004`)).body.data
    await eventually(async () => (await found(alice)).length === 1, 'the hit')
    expect(await found(await veiled('contact.phone'))).toMatchObject([{ id: mine.id }])
  })
})

describe('an import', () => {
  test('shows of the records that its rows are only what one sees', async () => {
    const lastName = unique('Aral')
    const externalId = unique('aral')
    await alice.build('contact', { lastName, externalId, email: `${unique('aral')}@example.com` })
    const vic = await veiled('contact.email')
    for (const onDuplicate of ['skip', 'update']) {
      const asked = { resource: 'contacts', dryRun: 'true', matchBy: ['externalId'], onDuplicate }
      const { preview } = await importTable(vic, `externalId,jobTitle\n${externalId},Chief\n`, asked)
      expect(preview).toMatchObject([{ action: onDuplicate, record: { lastName } }])
      expect(JSON.stringify(preview)).not.toContain('@example.com')
    }
  })

  test.each([
    ['contact.email', 'email', 'contacts', 'email\na@example.com\n', { mapping: { email: 'email' } }],
    ['company.domain', 'company.domain', 'deals', 'name,on\nTen,a.example\n', { mapping: { on: 'company.domain' } }],
    ['deal.value', 'product.name', 'deals', 'name,of\nTen,GTX\n', { mapping: { of: 'product.name' } }],
    ['contact.email', 'email', 'contacts', 'lastName\nA\n', { defaults: { email: 'a@example.com' } }],
    ['contact.customFields', 'cf.secret', 'contacts', 'lastName\nA\n', { defaults: { 'cf.secret': 'a' } }],
    ['contact.email', 'email', 'contacts', 'email\na@example.com\n', { matchBy: ['email'], onDuplicate: 'skip' }],
    ['contact.email', 'email', 'contacts', 'E-Mail,lastName\na@example.com,A\n', { onDuplicate: 'skip' }],
    ['company.domain', 'domain', 'companies', 'name,domain\nA,a.example\n', { onDuplicate: 'update' }],
  ])('finds nothing by what hides %s, and names it: %s of %s', async (member, named, resource, table, more) => {
    if (named === 'cf.secret') await alice.build('customField', { resource: 'contact', key: 'secret', label: 'Secret' })
    const { status, body } = await sendTable(await veiled(member), table, { resource, ...more })
    expect([status, body.code, body.detail]).toEqual([403, 'FORBIDDEN', expect.stringContaining(` ${named} `)])
  })

  test('leaves out the columns that are called as what one does not see', async () => {
    const [vic, lastName, externalId] = [await veiled('contact.email'), unique('Baikal'), unique('baikal')]
    const table = `externalId,lastName,email\n${externalId},${lastName},${lastName}@example.com\n`
    const done = await importTable(vic, table, { resource: 'contacts', onDuplicate: 'skip' })
    expect(done).toMatchObject({ created: 1, mapping: { externalId: 'externalId', lastName: 'lastName' } })
    const { data } = (await alice.get(`/contacts?externalId=${externalId}`)).body
    expect(data).toMatchObject([{ lastName, email: null }])
  })
})

test.each([
  ['deal.stageId', '/deals/board'],
  ['deal.expectedCloseDate', '/deals/forecast'],
  ['deal.stageId', '/deals/{id}/stages'],
  ['deal.status', '/companies/{id}/hierarchy'],
  ['company.parentId', '/companies/{id}/hierarchy'],
  ['contact.companyId', '/companies/{id}/hierarchy'],
])('what is made of %s is told by no sum: %s', async (member, path) => {
  const { id } = await alice.build(path.startsWith('/deals') ? 'deal' : 'company')
  const { status, body } = await (await veiled(member)).get(path.replace('{id}', id))
  expect([status, body.detail]).toEqual([403, expect.stringContaining(member.slice(member.indexOf('.') + 1))])
})

test('who does not see the key of a record finds none by it', async () => {
  const externalId = unique('key')
  const { id } = await alice.build('contact', { externalId })
  const { id: other } = await alice.build('contact', { externalId: unique('other') })
  await alice.post(`/contacts/${other}/merge`, { fromIds: [id] })
  const vic = await veiled('contact.externalId')
  for (const key of [externalId, unique('none')])
    expect((await vic.put(`/contacts/by-external-id/${key}`, { lastName: 'Mine' })).status).toBe(403)
})
