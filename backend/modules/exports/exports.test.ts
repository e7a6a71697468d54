import fc from 'fast-check'
import { readSheet } from 'read-excel-file/node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'
import { errorsOf, exportTable, importTable } from '../../test/tables.ts'

let house: TestApp
let alice: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice } = house)
})
afterAll(() => house.stop())

const walk = async (who: Client, path: string): Promise<Record<string, unknown>[]> => {
  const found = []
  for (let cursor = ''; ; ) {
    const { data, page } = (await who.get(`${path}?limit=200&sort=createdAt${cursor}`)).body
    found.push(...data)
    if (page.nextCursor === null) return found
    cursor = `&cursor=${page.nextCursor}`
  }
}

describe('an export', () => {
  beforeAll(async () => {
    const { id: companyId } = await alice.build('company', { name: '=Engines, "Ltd"', domain: 'engines.example' })
    await alice.build('contact', {
      firstName: 'Ada',
      phone: '+44 20 7946 0958',
      companyId,
      tags: ['a,b', 'c'],
      stage: 'customer',
      address: { city: 'London' },
    })
    await alice.build('contact', { firstName: '@Bob', leadScore: -0 || 7, stage: 'customer', doNotContact: true })
    await alice.build('contact', { firstName: 'Carl', stage: 'former' })
  })

  test('is a file at a link that expires, of what its filters find, in the order that was asked', async () => {
    const columns = ['firstName', 'phone', 'company.name', 'tags', 'address.city', 'leadScore', 'doNotContact']
    const asked = { resource: 'contacts', filters: { stage: 'customer' }, sort: 'firstName', columns, format: 'csv' }
    const { bytes, ...done } = await exportTable(alice, asked)
    expect(done).toMatchObject({
      status: 'completed',
      total: 2,
      processed: 2,
      size: bytes.length,
      filters: { stage: 'customer' },
    })
    expect(Date.parse(done.expiresAt)).toBeGreaterThan(Date.now())
    expect(bytes.toString().split('\r\n')).toEqual([
      'firstName,phone,company.name,tags,address.city,leadScore,doNotContact',
      "'@Bob,,,,,7,true",
      'Ada,\'+44 20 7946 0958,"\'=Engines, ""Ltd""","[""a,b"",""c""]",London,,false',
      '',
    ])
    const file = await fetch(done.url)
    expect(file.headers.get('content-disposition')).toMatch(/^attachment; filename="contacts-\d{4}-\d{2}-\d{2}\.csv"/)
  })

  test('as a workbook keeps numbers and truths', async () => {
    const columns = ['firstName', 'leadScore', 'doNotContact', 'company.name']
    const { bytes } = await exportTable(alice, { resource: 'contacts', sort: '-firstName', columns, format: 'xlsx' })
    expect(await readSheet(bytes)).toEqual([
      columns,
      ['Carl', null, false, null],
      ['Ada', null, false, '=Engines, "Ltd"'],
      ['@Bob', 7, true, null],
    ])
  })

  test('as JSON Lines is the records as they are', async () => {
    const { bytes } = await exportTable(alice, {
      resource: 'contacts',
      filters: { 'leadScore[gte]': 1 },
      format: 'jsonl',
    })
    expect(
      bytes
        .toString()
        .trim()
        .split('\n')
        .map((line: string) => JSON.parse(line)),
    ).toEqual((await alice.get('/contacts?leadScore[gte]=1')).body.data)
    const { bytes: some } = await exportTable(alice, {
      resource: 'contacts',
      filters: { leadScore: { gte: 1 } },
      columns: ['firstName', 'company.name'],
      format: 'jsonl',
    })
    expect(JSON.parse(some.toString())).toEqual({ firstName: '@Bob', 'company.name': null })
  })

  test('of nothing has a header', async () => {
    const { bytes, total } = await exportTable(alice, { resource: 'products', columns: ['name'], format: 'csv' })
    expect([bytes.toString(), total]).toEqual(['name\r\n', 0])
  })

  test('tells its user that it is ready, and stands in the audit trail', async () => {
    const dave = await house.found('Exports', 'Dave')
    const { id } = await exportTable(dave, { resource: 'users', format: 'csv' })
    const entry = await eventually(async () => (await dave.get('/notifications')).body.data[0], 'the notification')
    expect(entry).toMatchObject({
      type: 'export.ready',
      entityId: id,
      actionUrl: `/exports/${id}`,
      message: 'Your export of 1 users is ready',
    })
    const trail = await eventually(
      async () => (await dave.get('/timeline?entityType=export')).body.data[0],
      'the activity of the export',
    )
    expect(trail).toMatchObject({ action: 'downloaded', description: 'Dave exported “users”' })
  })

  test('is seen by who asked for it, and by administrators', async () => {
    const vera = await house.join('Vera', 'viewer')
    const { id } = await exportTable(vera, { resource: 'contacts', format: 'csv' })
    expect((await alice.get(`/exports/${id}`)).status).toBe(200)
    expect((await house.bob.get(`/exports/${id}`)).status).toBe(404)
    expect((await house.charlie.get(`/exports/${id}`)).status).toBe(404)
    expect((await vera.get('/exports?limit=1')).body.data).toEqual([expect.objectContaining({ id })])
    expect((await house.bob.get('/exports')).body.data).toEqual([])
  })

  test.each([
    [{ resource: 'spaceships', format: 'csv' }, 'resource'],
    [{ resource: 'contacts', format: 'pdf' }, 'format'],
    [{ resource: 'contacts', format: 'csv', filters: { wings: 2 } }, 'filters.wings'],
    [{ resource: 'contacts', format: 'csv', filters: { limit: 2 } }, 'filters.limit'],
    [{ resource: 'contacts', format: 'csv', filters: { 'leadScore[about]': 2 } }, 'filters.leadScore[about]'],
    [{ resource: 'contacts', format: 'csv', sort: 'wings' }, 'sort'],
    [{ resource: 'contacts', format: 'csv', columns: ['firstName', 'wings'] }, 'columns.1'],
    [{ resource: 'contacts', format: 'csv', colour: 'red' }, 'colour'],
  ])('%j is refused and named', async (asked, path) => {
    const answer = await alice.post('/exports', asked)
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, path])
  })
})

describe('what an export gives, an import takes back unchanged', () => {
  const word = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
    .filter((text) => text.trim() !== '' && !text.includes('\0'))
  const risky = fc.constantFrom(
    "'=1+1",
    '=cmd|x',
    '-5',
    "'",
    "''",
    '+1 (2)',
    '@x',
    '1.234,5',
    '3/1/2017',
    'a;b',
    '"q"',
    'x\r\ny',
    '_x0041_',
    '<&>',
    '[1]',
    'true',
    '\u{1F600}',
    'ä',
  )
  const text = fc.oneof(word, risky)
  const some = (model: Record<string, fc.Arbitrary<unknown>>) =>
    fc.record(model, { requiredKeys: [] }).filter((object) => Object.keys(object).length > 0)
  const people = fc.record(
    {
      firstName: text,
      lastName: text,
      jobTitle: text,
      phone: fc.oneof(fc.constant('+44 20 7946 0958'), fc.constant('0049-30-1')),
      emails: fc.uniqueArray(fc.constantFrom('a@x.example', 'b@x.example', 'c+d@x.example')),
      leadScore: fc.integer({ min: 0, max: 1_000_000 }),
      birthday: fc
        .date({ min: new Date('0001-01-01'), max: new Date('9999-12-30'), noInvalidDate: true })
        .map((day) => day.toISOString().slice(0, 10)),
      doNotContact: fc.boolean(),
      stage: fc.constantFrom('prospect', 'contact', 'customer', 'former'),
      tags: fc.uniqueArray(
        text.map((tag) => tag.trim()),
        { maxLength: 4 },
      ),
      address: some({ city: text, country: text }),
      consent: some({ email: fc.boolean(), givenAt: fc.constant('2026-01-02T03:04:05.678Z'), source: text }),
      customFields: fc.record(
        {
          note: text,
          size: fc.integer({ min: -999_999, max: 999_999 }).map((units) => units / 100),
          many: fc.uniqueArray(fc.constantFrom('A, B', 'C', '=D'), { minLength: 1 }),
        },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: ['lastName', 'stage', 'doNotContact'] },
  )

  beforeAll(async () => {
    for (const who of [alice, house.charlie]) {
      await who.build('customField', { resource: 'contact', key: 'note', label: 'Note', type: 'text' })
      await who.build('customField', { resource: 'contact', key: 'size', label: 'Size', type: 'number' })
      await who.build('customField', {
        resource: 'contact',
        key: 'many',
        label: 'Many',
        type: 'multiselect',
        options: ['A, B', 'C', '=D'],
      })
    }
    const operations = fc.sample(people, 150).map((data) => ({ op: 'create', data }))
    const { body } = await alice.post('/contacts/bulk', { operations })
    const refused = body.results.filter(({ status }: { status: number }) => status !== 201)
    expect(refused).toEqual([])
  })

  test.each(['csv', 'xlsx', 'jsonl'])('%s into the same records changes nothing', async (format) => {
    const before = await walk(alice, '/contacts')
    const { bytes } = await exportTable(alice, { resource: 'contacts', format })
    const asked = { resource: 'contacts', matchBy: ['id'], onDuplicate: 'update' }
    const done = await importTable(alice, bytes, asked, `x.${format}`)
    expect(await errorsOf(alice, done.id)).toEqual([])
    expect(done).toMatchObject({ updated: before.length, created: 0, failed: 0 })
    expect(await walk(alice, '/contacts')).toEqual(before)
  })

  test.each(['csv', 'xlsx', 'jsonl'])('%s into another house makes the same records', async (format) => {
    const dave = await house.found('Elsewhere', 'Dave')
    for (const [key, type] of [
      ['note', 'text'],
      ['size', 'number'],
    ])
      await dave.build('customField', { resource: 'contact', key, label: key, type })
    await dave.build('customField', {
      resource: 'contact',
      key: 'many',
      label: 'Many',
      type: 'multiselect',
      options: ['A, B', 'C', '=D'],
    })
    const columns = [
      'firstName',
      'lastName',
      'jobTitle',
      'phone',
      'emails',
      'leadScore',
      'birthday',
      'doNotContact',
      'stage',
      'tags',
    ]
    columns.push(
      'address.city',
      'address.country',
      'consent.email',
      'consent.givenAt',
      'consent.source',
      'cf.note',
      'cf.size',
      'cf.many',
    )
    const { bytes } = await exportTable(alice, { resource: 'contacts', sort: 'createdAt', columns, format })
    const done = await importTable(dave, bytes, { resource: 'contacts' }, `x.${format}`)
    expect(await errorsOf(dave, done.id)).toEqual([])
    const bare = (record: Record<string, unknown>) => {
      const { id, createdAt, updatedAt, createdById, ownerId, version, companyId, ...rest } = record
      return JSON.stringify(rest)
    }
    const [mine, theirs] = [await walk(alice, '/contacts'), await walk(dave, '/contacts')]
    expect(theirs.map(bare).sort()).toEqual(mine.map(bare).sort())
  })

  test('deals, with what their stages say of them', async () => {
    const { id } = await alice.build('deal', { name: 'Won', value: 12.5 })
    await alice.post(`/deals/${id}/win`)
    await alice.build('deal', { name: 'Open', probability: 5, contactIds: [(await alice.build('contact')).id] })
    const before = await walk(alice, '/deals')
    const { bytes } = await exportTable(alice, { resource: 'deals', format: 'csv' })
    const done = await importTable(alice, bytes, { resource: 'deals', onDuplicate: 'update' })
    expect([await errorsOf(alice, done.id), done.updated]).toEqual([[], 2])
    expect(await walk(alice, '/deals')).toEqual(before)
  })
})
