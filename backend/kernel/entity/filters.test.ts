import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { password } from '../../test/cast.ts'
import type { Client } from '../../test/client.ts'

let house: TestApp
let dora: Client
const ids: Record<string, string> = {}

beforeAll(async () => {
  house = await startTestApp()
  dora = await house.found('Initech', 'Dora')
  const made = await dora.post('/users', { name: 'Erin', email: 'erin@initech.example', role: 'member', password })
  ids.erin = made.body.id
  await makeContacts()
  await makeDeals()
})
afterAll(() => house.stop())

async function makeContacts(): Promise<void> {
  await dora.build('customField', { resource: 'contact', key: 'region', label: 'Region' })
  await dora.build('customField', { resource: 'contact', key: 'size', label: 'Size', type: 'number' })
  await dora.build('customField', { resource: 'contact', key: 'since', label: 'Since', type: 'date' })
  await dora.build('customField', { resource: 'contact', key: 'fan', label: 'Fan', type: 'boolean' })
  await dora.build('customField', { resource: 'contact', key: 'keeper', label: 'Keeper', type: 'user' })
  await dora.build('customField', {
    resource: 'contact',
    key: 'likes',
    label: 'Likes',
    type: 'multiselect',
    options: ['tea', 'cake', 'rum'],
  })
  ids.engines = (await dora.build('company', { name: 'Engines' })).id
  ids.navy = (await dora.build('company', { name: 'Navy' })).id
  const people = [
    {
      firstName: 'Ada',
      email: 'Ada@Example.com',
      companyId: ids.engines,
      stage: 'customer',
      leadScore: 10,
      birthday: '1815-12-10',
      doNotContact: true,
      tags: ['vip', 'maths'],
      ownerId: ids.erin,
      externalId: 'A-1',
      customFields: { region: 'EMEA', size: 1.5, since: '2024-02-29', fan: true, likes: ['tea', 'cake'] },
    },
    {
      firstName: 'Grace',
      email: 'grace@example.org',
      companyId: ids.navy,
      stage: 'contact',
      leadScore: 20,
      birthday: '1906-12-09',
      tags: ['vip'],
      customFields: { region: 'AMER', size: 10, since: '2025-01-01', fan: false, likes: ['cake'], keeper: ids.erin },
    },
    { firstName: 'Nemo' },
  ]
  for (const person of people) ids[person.firstName] = (await dora.build('contact', person)).id
}

async function makeDeals(): Promise<void> {
  const deals = [
    { name: 'Small', value: 0.1, currency: 'EUR', contactIds: [ids.Ada, ids.Grace] },
    { name: 'Large', value: 99_999_999_999.9999, currency: 'USD', contactIds: [ids.Grace] },
    { name: 'Unknown', value: null, currency: 'USD' },
  ]
  for (const deal of deals) ids[deal.name] = (await dora.build('deal', deal)).id
  await dora.build('task', { title: 'Ring', related: [{ type: 'contact', id: ids.Ada }], assigneeIds: [ids.erin] })
  await dora.build('task', { title: 'Write', dueAt: '2026-11-21T08:00:00.123Z', assigneeIds: [dora.userId, ids.erin] })
  await dora.build('task', { title: 'Rest' })
}

/** Names of what a filter finds. Ids are written as `{Ada}`. */
async function found(path: string, query: string): Promise<string[]> {
  const filled = query.replace(/\{(\w+)\}/g, (_all, name: string) => ids[name] ?? '')
  const answer = await dora.get(`/${path}?${filled}`)
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return answer.body.data
    .map((record: Record<string, string>) => record.firstName ?? record.name ?? record.title)
    .sort()
}

describe('filters of contacts', () => {
  test.each([
    // text: eq and in compare exactly, contains and startsWith ignore case, ne and nin also give records without a value
    ['firstName=Ada', ['Ada']],
    ['firstName=ada', []],
    ['firstName[eq]=Ada', ['Ada']],
    ['email[ne]=grace@example.org', ['Ada', 'Nemo']],
    ['email[in]=grace@example.org,Ada@Example.com', ['Ada', 'Grace']],
    ['email[in]=ada@example.com', []],
    ['email[nin]=grace@example.org', ['Ada', 'Nemo']],
    ['email[contains]=EXAMPLE', ['Ada', 'Grace']],
    ['email[contains]=%25', []],
    ['email[startsWith]=ADA@', ['Ada']],
    ['email[startsWith]=example', []],
    ['email[isNull]=true', ['Nemo']],
    ['email[isNull]=false', ['Ada', 'Grace']],
    // numbers
    ['leadScore=10', ['Ada']],
    ['leadScore[ne]=10', ['Grace', 'Nemo']],
    ['leadScore[gt]=10', ['Grace']],
    ['leadScore[gte]=10', ['Ada', 'Grace']],
    ['leadScore[lt]=20', ['Ada']],
    ['leadScore[lte]=20', ['Ada', 'Grace']],
    ['leadScore[in]=10,20,30', ['Ada', 'Grace']],
    ['leadScore[nin]=10,30', ['Grace', 'Nemo']],
    ['leadScore[isNull]=true', ['Nemo']],
    ['leadScore[gte]=5&leadScore[lt]=20', ['Ada']],
    // dates
    ['birthday=1815-12-10', ['Ada']],
    ['birthday[gt]=1815-12-10', ['Grace']],
    ['birthday[gte]=1815-12-10&birthday[lt]=1906-12-09', ['Ada']],
    ['birthday[nin]=1815-12-10', ['Grace', 'Nemo']],
    // choices, flags
    ['stage=customer', ['Ada']],
    ['stage[ne]=customer', ['Grace', 'Nemo']],
    ['stage[in]=customer,contact', ['Ada', 'Grace']],
    ['stage[nin]=customer,contact', ['Nemo']],
    ['doNotContact=true', ['Ada']],
    ['doNotContact[ne]=true', ['Grace', 'Nemo']],
    // references
    ['companyId={engines}', ['Ada']],
    ['companyId[ne]={engines}', ['Grace', 'Nemo']],
    ['companyId[in]={engines},{navy}', ['Ada', 'Grace']],
    ['companyId[nin]={engines}', ['Grace', 'Nemo']],
    ['companyId[isNull]=true', ['Nemo']],
    ['ownerId={erin}', ['Ada']],
    ['externalId=A-1', ['Ada']],
    ['externalId[isNull]=true', ['Grace', 'Nemo']],
    // several are ANDed
    ['stage[in]=customer,contact&leadScore[gt]=10&tags=vip', ['Grace']],
    // tags
    ['tags=vip', ['Ada', 'Grace']],
    ['tags=VIP', []],
    ['tags[in]=maths,vip', ['Ada', 'Grace']],
    ['tags=vip&sort=-leadScore', ['Ada', 'Grace']],
    ['tags=vip&tags[in]=maths', ['Ada']],
    // custom fields
    ['cf.region=EMEA', ['Ada']],
    ['cf.region=emea', []],
    ['cf.region[in]=EMEA,AMER', ['Ada', 'Grace']],
    ['cf.size=1.5', ['Ada']],
    ['cf.size[gt]=1.5', ['Grace']],
    ['cf.size[gte]=1.5&cf.size[lt]=10', ['Ada']],
    ['cf.size[in]=1.5,10', ['Ada', 'Grace']],
    ['cf.since=2024-02-29', ['Ada']],
    ['cf.since[gt]=2024-02-29', ['Grace']],
    ['cf.since[lte]=2024-02-29&sort=name', ['Ada']],
    ['cf.fan=true', ['Ada']],
    ['cf.fan=false', ['Grace']],
    ['cf.likes=cake', ['Ada', 'Grace']],
    ['cf.likes[in]=tea,cake', ['Ada', 'Grace']],
    ['cf.likes=tea&cf.region=EMEA&tags=maths&leadScore=10', ['Ada']],
    ['cf.keeper={erin}', ['Grace']],
  ])('%s', async (query, names) => {
    expect(await found('contacts', query)).toEqual(names)
  })

  test('times filter by instant, whatever their offset', async () => {
    const { body } = await dora.get(`/contacts/${ids.Ada}`)
    const later = new Date(Date.parse(body.createdAt) + 3_600_000).toISOString().replace('Z', '%2B01:00')
    expect(await found('contacts', `createdAt=${later}`)).toEqual(['Ada'])
    expect(await found('contacts', `createdAt[lte]=${body.createdAt}`)).toEqual(['Ada'])
    expect(await found('contacts', `createdAt[gt]=${body.createdAt}`)).toEqual(['Grace', 'Nemo'])
    expect(await found('tasks', 'dueAt=2026-11-21T08:00:00.123Z')).toEqual(['Write'])
    expect(await found('tasks', 'dueAt[gte]=2026-11-21&dueAt[lt]=2026-11-22')).toEqual(['Write'])
    expect(await found('tasks', 'dueAt[ne]=2026-11-21')).toEqual(['Rest', 'Ring', 'Write'])
  })
})

describe('filters of deals and tasks', () => {
  test.each([
    ['deals', 'value=0.1', ['Small']],
    ['deals', 'value[gt]=0.1', ['Large']],
    ['deals', 'value=99999999999.9999', ['Large']],
    ['deals', 'value[lt]=99999999999.9999', ['Small']],
    ['deals', 'value[ne]=0.1', ['Large', 'Unknown']],
    ['deals', 'currency[in]=EUR,GBP', ['Small']],
    ['deals', 'contactIds={Grace}', ['Large', 'Small']],
    ['deals', 'contactIds[in]={Ada},{Grace}', ['Large', 'Small']],
    ['deals', 'contactIds={Ada}&sort=name', ['Small']],
    ['deals', 'status=open&value[isNull]=true', ['Unknown']],
    ['tasks', 'related={Ada}', ['Ring']],
    ['tasks', 'related[in]={Ada},{Grace}', ['Ring']],
    ['tasks', 'assigneeIds={erin}', ['Ring', 'Write']],
    ['tasks', 'assigneeIds={erin}&related={Ada}', ['Ring']],
  ])('%s?%s', async (path, query, names) => {
    expect(await found(path, query)).toEqual(names)
  })
})

describe('what is not offered is 400 and named', () => {
  test.each([
    ['unknown=1', 'unknown'],
    ['cf.unknown=1', 'cf.unknown'],
    ['firstName[like]=A', 'firstName[like]'],
    ['firstName[gt]=A', 'firstName[gt]'],
    ['firstName[=A', 'firstName['],
    ['address=London', 'address'],
    ['tags[gt]=a', 'tags[gt]'],
    ['cf.region[gt]=A', 'cf.region[gt]'],
    ['leadScore=ten', 'leadScore'],
    ['leadScore=1.5', 'leadScore'],
    ['leadScore=', 'leadScore'],
    ['leadScore=99999999999', 'leadScore'],
    ['leadScore[in]=1,two', 'leadScore[in]'],
    ['leadScore[isNull]=yes', 'leadScore[isNull]'],
    ['birthday=2026-02-30', 'birthday'],
    ['birthday=0000-01-01', 'birthday'],
    ['createdAt[gt]=0000-01-01', 'createdAt[gt]'],
    ['createdAt[gt]=2026-11-21T24:00:00Z', 'createdAt[gt]'],
    ['createdAt[gt]=yesterday', 'createdAt[gt]'],
    ['stage=boss', 'stage'],
    ['stage[in]=customer,boss', 'stage[in]'],
    ['doNotContact=1', 'doNotContact'],
    ['companyId=7', 'companyId'],
    ['cf.size=big', 'cf.size'],
    ['cf.since=2026-02-30', 'cf.since'],
    ['cf.fan=yes', 'cf.fan'],
    ['cf.likes=beer', 'cf.likes'],
    ['cf.keeper=7', 'cf.keeper'],
    ['firstName=%00', 'firstName'],
    ['firstName=%ff', 'firstName'],
    ['limit=0', 'limit'],
    ['limit=201', 'limit'],
    ['limit=-1', 'limit'],
    ['limit=1e1', 'limit'],
    ['limit=', 'limit'],
    ['limit=99999999999999999999', 'limit'],
    ['offset=10', 'offset'],
    ['count=all', 'count'],
    ['sort=phone', 'sort'],
    ['sort=', 'sort'],
    ['sort=name,name', 'sort'],
    ['sort=--name', 'sort'],
    ['fields=id,secret', 'fields'],
    ['fields=', 'fields'],
    ['include=deals', 'include'],
    ['q=', 'q'],
    ['q=%00', 'q'],
    ['firstName=Ada&firstName=Grace', 'firstName'],
    ['firstName=Ada&firstName[eq]=Grace', 'firstName[eq]'],
    ['limit=1&limit=2', 'limit'],
    ['sort=name&sort=name', 'sort'],
  ])('%s', async (query, path) => {
    const answer = await dora.get(`/contacts?${query}`)
    expect(answer.status, JSON.stringify(answer.body)).toBe(400)
    expect(answer.body).toMatchObject({ code: 'VALIDATION_FAILED', errors: [{ path, message: expect.any(String) }] })
  })

  test('each wrong parameter is named, not only the first', async () => {
    const { body } = await dora.get('/contacts?stage=boss&limit=0&sort=phone')
    expect(body.errors.map((error: { path: string }) => error.path).sort()).toEqual(['limit', 'sort', 'stage'])
  })

  test("names of JavaScript's own are not offered either", async () => {
    for (const name of ['constructor', '__proto__', 'toString']) {
      for (const query of [`${name}=1`, `fields=${name}`, `sort=${name}`, `include=${name}`])
        expect([query, (await dora.get(`/contacts?${query}`)).status]).toEqual([query, 400])
    }
    expect((await dora.get(`/contacts/${ids.Ada}?fields=constructor`)).status).toBe(400)
  })
})
