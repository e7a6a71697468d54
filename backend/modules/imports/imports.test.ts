import { io } from 'socket.io-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'
import { ended, errorsOf, importTable, sendTable } from '../../test/tables.ts'

let house: TestApp
let alice: Client
let bob: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob } = house)
})
afterAll(() => house.stop())

const contacts = { resource: 'contacts' }
const listOf = async (path: string, who = alice) => (await who.get(path)).body.data
const rows = (count: number, make: (index: number) => string) =>
  Array.from({ length: count }, (_none, index) => make(index)).join('\n')

describe('what is read', () => {
  test('columns that are called as members need no mapping, in whatever spelling', async () => {
    const table =
      'First Name;last_name;E-Mail;leadScore;Company Name;Address - Country;Shoe size\nAda;Lovelace;ada@one.example;1.200,0;Engines;UK;38\n'
    await alice.build('company', { name: 'Engines' })
    const done = await importTable(alice, table, contacts)
    expect(done.mapping).toEqual({
      'First Name': 'firstName',
      last_name: 'lastName',
      'E-Mail': 'email',
      leadScore: 'leadScore',
      'Company Name': 'company.name',
      'Address - Country': 'address.country',
    })
    const [ada] = await listOf('/contacts?email=ada@one.example&include=company')
    expect(ada).toMatchObject({
      name: 'Ada Lovelace',
      leadScore: 1200,
      company: { name: 'Engines' },
      address: { country: 'UK' },
      ownerId: alice.userId,
      createdById: alice.userId,
    })
    const [activity] = await alice.timeline('contact', ada.id, 1)
    expect(activity).toMatchObject({
      action: 'created',
      actor: { id: alice.userId, type: 'import' },
      operationId: done.operationId,
    })
  })

  test('defaults fill what no column does, and a cell goes before them', async () => {
    const table = 'firstName,stage\nEve,\nFay,Customer\n'
    await importTable(alice, table, { ...contacts, defaults: { stage: 'former', tags: ['fair'], source: 'Fair 2026' } })
    const found = await listOf('/contacts?source=Fair%202026&sort=firstName')
    expect(found.map(({ firstName, stage, tags }: Record<string, unknown>) => [firstName, stage, tags])).toEqual([
      ['Eve', 'former', ['fair']],
      ['Fay', 'customer', ['fair']],
    ])
  })

  test('a wrong row is told with its line, column, value and reason, and never stops the rest', async () => {
    await alice.build('contact', { externalId: 'taken' })
    const table = [
      'firstName,email,birthday,stage,externalId,ownerId',
      '"Gil\n",gil@one.example,2000-01-31,prospect,g1,',
      'Hal,no email,31.31.2000,unknown,g2,',
      'Ida,ida@one.example,2000-02-01,contact,taken,',
      'Jon,jon@one.example,,,g3,0192f0c1-7a4e-7d31-9a55-0d7f3c1b2a90',
      'Kim,kim@one.example',
      '=cmd(),x,,,,',
      'Lea,lea@one.example,,,g4,',
    ].join('\n')
    const done = await importTable(alice, table, contacts)
    expect(done).toMatchObject({ status: 'completed', total: 7, processed: 7, created: 2, failed: 5, percent: 100 })
    expect(await errorsOf(alice, done.id)).toEqual([
      '4,birthday,31.31.2000,must be a date such as 2026-11-21',
      '4,stage,unknown,"must be one of prospect, contact, customer, former"',
      '5,externalId,taken,externalId is taken by another record',
      '6,ownerId,0192f0c1-7a4e-7d31-9a55-0d7f3c1b2a90,must refer to records that you may read',
      '7,,,"has 2 cells, and the header 6"',
      '8,email,x,must be an email address',
    ])
    expect((await listOf('/contacts?externalId[in]=g1,g4')).length).toBe(2)
  })

  test('what is not of the encoding that was said is told where it stands, if it stands where it counts', async () => {
    const table = Buffer.from('firstName,lastName,note\nZo\xeb,One,\nAda,Two,\xeb\nPi\xe9,Three,\n', 'latin1')
    const done = await importTable(alice, table, { ...contacts, encoding: 'utf-8' })
    expect(done).toMatchObject({ created: 1, failed: 2 })
    expect(await errorsOf(alice, done.id)).toEqual([
      "2,firstName,Zo\uFFFD,has characters that are not of the file's encoding",
      "4,firstName,Pi\uFFFD,has characters that are not of the file's encoding",
    ])
    const header = await sendTable(alice, Buffer.from('Vorn\xe4me\nAda\n', 'latin1'), {
      ...contacts,
      encoding: 'utf-8',
    })
    expect([header.status, header.body.errors[0]]).toEqual([
      400,
      expect.objectContaining({ path: 'file', message: 'The first row, at line 1, is not all utf-8' }),
    ])
  })

  test('a quote that is never closed fails an import before its first row, and is named', async () => {
    const done = await importTable(alice, 'firstName,note\nUnclosed,"a\nb"\nUnclosed,"c\nUnclosed,\n', contacts)
    expect(done).toMatchObject({ status: 'failed', failure: 'The quote that is opened at line 4 is never closed' })
    expect(await listOf('/contacts?firstName=Unclosed')).toEqual([])
  })

  test('an id that tells nothing is a column that is not mapped: records are made anew', async () => {
    const { id } = await alice.build('contact', { firstName: 'Copied' })
    const done = await importTable(alice, `id,firstName\n${id},Copied\n`, contacts)
    expect(done).toMatchObject({ mapping: { firstName: 'firstName' }, created: 1 })
    expect(await listOf('/contacts?firstName=Copied')).toHaveLength(2)
  })

  test('what names another record is found whatever its case, spaces and punctuation; missing ones are made when asked', async () => {
    await alice.build('company', { name: 'GTX Pro, Inc.' })
    const table = 'name,company\nOne,gtxpro INC\nTwo,Brand New\nThree,BRAND-NEW\nFour,\n'
    const mapping = { name: 'name', company: 'company.name' }
    const strict = await importTable(alice, table, { resource: 'deals', mapping })
    expect(await errorsOf(alice, strict.id)).toEqual([
      '3,company,Brand New,there is no company with this name',
      '4,company,BRAND-NEW,there is no company with this name',
    ])
    const made = await importTable(alice, table, { resource: 'deals', mapping, createMissing: ['company'] })
    expect(made).toMatchObject({ created: 4, failed: 0, made: { company: 1 } })
    const [company] = await listOf('/companies?name=Brand%20New')
    expect((await listOf(`/deals?companyId=${company.id}`)).length).toBe(2)
  })

  test('of two people called alike nobody knows who is meant', async () => {
    await house.join('Twin', 'member')
    await house.join('Twin', 'member')
    const done = await importTable(alice, 'firstName,owner\nX,twin\nY,bob\n', {
      ...contacts,
      mapping: { firstName: 'firstName', owner: 'owner.name' },
    })
    expect(await errorsOf(alice, done.id)).toEqual([
      '2,owner,twin,there is more than one user called so; use the email',
    ])
    expect(done.created).toBe(1)
  })

  test('custom fields by their keys, of their types', async () => {
    await alice.build('customField', { resource: 'contact', key: 'size', label: 'Size', type: 'number' })
    await alice.build('customField', {
      resource: 'contact',
      key: 'tier',
      label: 'Tier',
      type: 'select',
      options: ['Gold', 'Silver'],
    })
    const done = await importTable(alice, 'firstName,Size in cm,cf.tier\nMia,"1,75",gold\nNat,x,Tin\n', {
      ...contacts,
      mapping: { firstName: 'firstName', 'Size in cm': 'cf.size', 'cf.tier': 'cf.tier' },
      decimal: ',',
    })
    expect(await errorsOf(alice, done.id)).toEqual([
      '3,Size in cm,x,must be a number',
      '3,cf.tier,Tin,"must be one of Gold, Silver"',
    ])
    expect((await listOf('/contacts?cf.tier=Gold'))[0].customFields).toEqual({ size: 1.75, tier: 'Gold' })
  })
})

describe('rows that are there already', () => {
  test('are made again, skipped or changed, as was asked; empty cells leave', async () => {
    const table =
      'email,firstName,jobTitle,city\nOLE@two.example,Ole,Boss,Oslo\npia@two.example,Pia,,\nole@two.example,Olaf,,\n'
    const mapping = { email: 'email', firstName: 'firstName', jobTitle: 'jobTitle', city: 'address.city' }
    await alice.build('contact', {
      email: 'ole@two.example',
      firstName: 'O.',
      jobTitle: 'Clerk',
      address: { country: 'Norway' },
    })
    const skipped = await importTable(alice, table, { ...contacts, mapping, matchBy: ['email'], onDuplicate: 'skip' })
    expect(skipped).toMatchObject({ created: 1, updated: 0, skipped: 2, failed: 0 })
    const updated = await importTable(alice, table, { ...contacts, mapping, onDuplicate: 'update' })
    expect(updated).toMatchObject({ created: 0, updated: 3, skipped: 0, failed: 0 })
    const [found] = await listOf('/contacts?firstName=Olaf')
    expect(found).toMatchObject({ jobTitle: 'Boss', address: { country: 'Norway', city: 'Oslo' }, version: 3 })
    const again = await importTable(alice, table, { ...contacts, mapping })
    expect(again).toMatchObject({ created: 3 })
  })

  test('are told by their id, which must be there', async () => {
    const { id } = await alice.build('company', { name: 'Before' })
    const table = `id,name\n${id},After\n0192f0c1-7a4e-7d31-9a55-0d7f3c1b2a90,Nobody\nx,Nobody\n`
    const done = await importTable(alice, table, { resource: 'companies', matchBy: ['id'], onDuplicate: 'update' })
    expect(done).toMatchObject({ updated: 1, created: 0, failed: 2 })
    expect((await alice.get(`/companies/${id}`)).body.name).toBe('After')
  })
})

test('a dry run says what would be made, and writes nothing', async () => {
  const before = await listOf('/companies?limit=200')
  const table = `name,parent,owner\n${rows(150, (index) => `Dry ${index},,bob`)}\nDry 150,,nobody\n`
  const asked = {
    resource: 'companies',
    mapping: { name: 'name', owner: 'owner.name' },
    createMissing: ['user'],
    dryRun: 'true',
  }
  const done = await importTable(alice, table, asked)
  expect(done).toMatchObject({
    status: 'completed',
    dryRun: true,
    total: 151,
    processed: 151,
    created: 151,
    failed: 0,
    made: { user: 1 },
  })
  expect(done.preview).toHaveLength(10)
  expect(done.preview[0]).toMatchObject({ line: 2, action: 'create', record: { name: 'Dry 0', ownerId: bob.userId } })
  expect(await listOf('/companies?limit=200')).toEqual(before)
  expect((await alice.post(`/imports/${done.id}/undo`)).body).toMatchObject({ code: 'NOTHING_TO_UNDO' })
})

test('a dry run foresees what rows far in front of a row would have made', async () => {
  const { key } = await alice.build('customField', {
    resource: 'contact',
    key: 'badge',
    label: 'Badge',
    type: 'text',
    unique: true,
  })
  const table = `email,firstName,externalId,cf.badge\n${[
    ...Array.from({ length: 250 }, (_none, index) => `Dry${index}@six.example,Dry,dry-${index},b${index}`),
    'DRY7@six.example,,,',
    'dry8@six.example,Eighth,dry-8,b8',
    'other@six.example,Other,dry-9,',
    'another@six.example,Another,,b10',
    'dry11@six.example,,,',
  ].join('\n')}\n`
  const update = { ...contacts, matchBy: ['email'], onDuplicate: 'update' }
  const of = ({ created, updated, skipped, failed }: Record<string, number>) => [created, updated, skipped, failed]
  const dry = await importTable(alice, table, { ...update, dryRun: 'true' })
  expect(of(dry)).toEqual([250, 3, 0, 2])
  expect(await errorsOf(alice, dry.id)).toEqual([
    '254,externalId,dry-9,externalId is taken by another record',
    `255,cf.${key},b10,a unique custom field has a value that another record has`,
  ])
  expect(of(await importTable(alice, table, { ...update, onDuplicate: 'skip', dryRun: 'true' }))).toEqual([
    250, 0, 3, 2,
  ])
  expect(of(await importTable(alice, table, { ...contacts, dryRun: 'true' }))).toEqual([252, 0, 0, 3])
  expect(of(await importTable(alice, table, update))).toEqual([250, 3, 0, 2])
})

describe('undo', () => {
  test('deletes what was made, restores what was changed, and refuses only what was changed since', async () => {
    const kept = await alice.build('company', {
      name: 'Kept',
      domain: 'kept.example',
      address: { city: 'Rome' },
      tags: ['old'],
    })
    const touched = await alice.build('company', { name: 'Touched', domain: 'touched.example' })
    const table =
      'domain,name,city,street,tags\nkept.example,Changed,Paris,Rue 1,new\ntouched.example,Changed too,,,\nfresh.example,Fresh,,,\nother.example,Other,,,\nkept.example,Changed twice,,,\n'
    const mapping = { domain: 'domain', name: 'name', city: 'address.city', street: 'address.street', tags: 'tags' }
    const done = await importTable(alice, table, {
      resource: 'companies',
      mapping,
      matchBy: ['domain'],
      onDuplicate: 'update',
    })
    expect(done).toMatchObject({ created: 2, updated: 3 })
    const [other] = await listOf('/companies?domain=other.example')
    await bob.patch(`/companies/${other.id}`, { name: 'Mine' })
    await alice.patch(`/companies/${other.id}`, { employees: 5 })
    await alice.patch(`/companies/${touched.id}`, { employees: 5 })
    const undone = await alice.post(`/imports/${done.id}/undo`)
    expect([undone.status, undone.body.status]).toEqual([200, 'undone'])
    expect(undone.body.undo).toMatchObject({ deleted: 1, restored: 1, refused: 2 })
    expect(undone.body.undo.refusals).toEqual(
      expect.arrayContaining([
        { type: 'company', id: other.id, reason: 'It has been changed since' },
        { type: 'company', id: touched.id, reason: 'It has been changed since' },
      ]),
    )
    expect((await alice.get(`/companies/${kept.id}`)).body).toMatchObject({
      name: 'Kept',
      address: { city: 'Rome' },
      tags: ['old'],
    })
    expect(await listOf('/companies?domain=fresh.example')).toEqual([])
    const again = await alice.post(`/imports/${done.id}/undo`)
    expect([again.status, again.body.undo]).toEqual([200, undone.body.undo])
  })

  test('gives back what a record referred to, also what one may not read', async () => {
    const may = (resource: string) => ['read', 'create', 'update'].map((action) => ({ resource, action, scope: 'own' }))
    const role = await alice.build('role', { name: 'Own', permissions: [...may('contact'), ...may('company')] })
    const owen = await house.join('Owen', 'member', { roleId: role.id })
    const [unseen, own] = [await alice.build('company'), await owen.build('company')]
    const held = { externalId: 'undo-reference', ownerId: owen.userId, companyId: unseen.id }
    const { id } = await alice.build('contact', held)
    const table = `externalId,companyId\nundo-reference,${own.id}\n`
    const done = await importTable(owen, table, { ...contacts, matchBy: ['externalId'], onDuplicate: 'update' })
    expect((await alice.get(`/contacts/${id}`)).body.companyId).toBe(own.id)
    expect((await owen.post(`/imports/${done.id}/undo`)).body.undo).toMatchObject({ restored: 1, refused: 0 })
    expect((await alice.get(`/contacts/${id}`)).body.companyId).toBe(unseen.id)
  })

  test('keeps what others refer to since, and what stays with them', async () => {
    const table = 'firstName,company\nStays,Kept by a deal\nGoes,Kept by a contact\nToo,Gone\nNoted,Gone\n'
    const mapping = { firstName: 'firstName', company: 'company.name' }
    const done = await importTable(alice, table, { ...contacts, mapping, createMissing: ['company'] })
    const idOf = async (path: string) => (await listOf(path))[0].id
    const byDeal = await idOf('/companies?name=Kept%20by%20a%20deal')
    const byContact = await idOf('/companies?name=Kept%20by%20a%20contact')
    const noted = await idOf('/contacts?firstName=Noted')
    const deal = await bob.build('deal', { companyId: byDeal })
    await alice.post(`/deals/${deal.id}/archive`)
    await bob.build('note', { related: [{ type: 'contact', id: noted }] })
    await alice.patch(`/contacts/${await idOf('/contacts?firstName=Goes')}`, { jobTitle: 'Changed since' })
    const { body } = await alice.post(`/imports/${done.id}/undo`)
    expect(body.undo).toMatchObject({ deleted: 2, restored: 0, refused: 5 })
    const reasonOf = (id: string) => body.undo.refusals.find((one: { id: string }) => one.id === id)?.reason
    for (const id of [byDeal, byContact, noted, await idOf('/companies?name=Gone')])
      expect(reasonOf(id)).toBe('Other records refer to it')
    expect((await listOf('/contacts?firstName[in]=Stays,Too')).length).toBe(0)
  })

  test('lets those go first that refer to others of the table', async () => {
    const table = `name,parent\n${rows(5, (index) => `Tree ${index},${index < 4 ? `Tree ${index + 1}` : ''}`)}\n`
    const mapping = { name: 'name', parent: 'parent.name' }
    const whole = await importTable(alice, table, { resource: 'companies', mapping })
    expect((await alice.post(`/imports/${whole.id}/undo`)).body.undo).toMatchObject({ deleted: 5, refused: 0 })
    const again = await importTable(alice, table, { resource: 'companies', mapping })
    const [middle] = await listOf('/companies?name=Tree%202')
    await alice.build('contact', { companyId: middle.id })
    const { undo } = (await alice.post(`/imports/${again.id}/undo`)).body
    expect(undo).toMatchObject({ deleted: 2, refused: 3 })
    expect((await listOf('/companies?name[startsWith]=Tree')).length).toBe(3)
  })

  test('of a large import is work for a job', async () => {
    const table = `firstName,company\n${rows(450, (index) => `Undone,Undone ${index % 7}`)}\n`
    const mapping = { firstName: 'firstName', company: 'company.name' }
    const done = await importTable(alice, table, { ...contacts, mapping, createMissing: ['company'] })
    expect(done).toMatchObject({ created: 450, made: { company: 7 } })
    const asked = await alice.post(`/imports/${done.id}/undo`)
    expect(asked.status).toBe(202)
    const undone = await eventually(async () => {
      const { body } = await alice.get(`/imports/${done.id}`)
      return body.status === 'undone' ? body : undefined
    }, 'the end of the undoing')
    expect(undone.undo).toEqual({ deleted: 457, restored: 0, refused: 0, refusals: [] })
    expect(await listOf('/contacts?firstName=Undone')).toEqual([])
    expect(await listOf('/companies?name[startsWith]=Undone')).toEqual([])
  })
})

describe('who may', () => {
  test('a viewer imports nothing, a member no users, and nobody sees the imports of others but administrators', async () => {
    const vera = await house.join('Vera', 'viewer')
    expect((await sendTable(vera, 'firstName\nX\n', contacts)).status).toBe(403)
    expect((await sendTable(bob, 'name\nX\n', { resource: 'users' })).status).toBe(403)
    const mine = await importTable(bob, 'firstName\nBobs\n', contacts)
    for (const who of [vera, house.charlie]) {
      expect((await who.get(`/imports/${mine.id}`)).status).toBe(404)
      expect((await who.get(`/imports/${mine.id}/errors.csv`)).status).toBe(404)
      expect((await who.post(`/imports/${mine.id}/undo`)).status).toBe(404)
      expect(await listOf('/imports', who)).toEqual([])
    }
    expect((await alice.get(`/imports/${mine.id}`)).status).toBe(200)
    expect((await bob.get('/imports?limit=1&resource=contacts')).body.data).toEqual([mine])
    expect((await house.nobody.get('/imports')).status).toBe(401)
  })

  test('a member changes only his own, row by row', async () => {
    await alice.build('contact', { externalId: 'hers', firstName: 'Hers' })
    await bob.build('contact', { externalId: 'his', firstName: 'His' })
    const table = 'externalId,firstName\nhers,Taken\nhis,Taken\n'
    const done = await importTable(bob, table, { ...contacts, onDuplicate: 'update' })
    expect(done).toMatchObject({ updated: 1, failed: 1 })
    expect(await errorsOf(bob, done.id)).toEqual(['2,,,Your role may not change this contact'])
  })

  test('an administrator makes no owner by a table', async () => {
    const admin = await house.join('Adam', 'admin')
    const done = await importTable(
      admin,
      'name,email,role\nOwen,owen@three.example,owner\nMo,mo@three.example,manager\n',
      { resource: 'users' },
    )
    expect(await errorsOf(admin, done.id)).toEqual(['2,,,Only an owner makes and unmakes owners'])
    const twice = await importTable(admin, 'name,email\nMo,MO@three.example\n', { resource: 'users' })
    expect(await errorsOf(admin, twice.id)).toEqual(['2,email,MO@three.example,email is taken by another record'])
  })
})

describe('what is asked', () => {
  test.each([
    [{ resource: 'spaceships' }, 'resource'],
    [{ resource: 'pipelines' }, 'resource'],
    [{}, 'resource'],
    [{ resource: 'contacts', mapping: { Nick: 'firstName' } }, 'mapping.Nick'],
    [{ resource: 'contacts', mapping: { name: 'shoeSize' } }, 'mapping.name'],
    [{ resource: 'contacts', mapping: { name: 'createdAt' } }, 'mapping.name'],
    [{ resource: 'contacts', mapping: { name: 'firstName', note: 'firstName' } }, 'mapping.note'],
    [{ resource: 'contacts', mapping: '{"name"' }, 'mapping'],
    [{ resource: 'contacts', mapping: { name: 'lastName' }, defaults: { wings: 2 } }, 'defaults.wings'],
    [{ resource: 'contacts', mapping: { name: 'lastName' }, matchBy: ['email'], onDuplicate: 'skip' }, 'matchBy'],
    [{ resource: 'contacts', mapping: { name: 'lastName' }, matchBy: ['lastName'] }, 'onDuplicate'],
    [{ resource: 'contacts', mapping: { name: 'lastName' }, onDuplicate: 'update' }, 'matchBy'],
    [{ resource: 'contacts', mapping: { name: 'lastName' }, createMissing: ['pipeline'] }, 'createMissing.0'],
    [{ resource: 'contacts', onDuplicate: 'merge' }, 'onDuplicate'],
    [{ resource: 'contacts', encoding: 'ebcdic' }, 'encoding'],
    [{ resource: 'contacts', colour: 'red' }, 'colour'],
    [{ resource: 'notes' }, 'mapping'],
    [{ resource: 'contacts', mapping: '{"__proto__":"firstName","name":"lastName"}' }, 'mapping.__proto__'],
    [{ resource: 'contacts', mapping: { name: 'id' } }, 'mapping.name'],
    [
      { resource: 'contacts', mapping: { name: 'id', note: 'email' }, matchBy: ['email'], onDuplicate: 'update' },
      'mapping.name',
    ],
    [{ resource: 'contacts', mapping: { name: 'lastName' }, defaults: { source: 'a\0' } }, 'defaults.source'],
    [{ resource: 'contacts', mapping: { 'a\0': 'lastName' } }, 'mapping.a\0'],
    [{ resource: 'contacts', mapping: { name: 'lastName' }, defaults: { tags: ['\ud800'] } }, 'defaults.tags.0'],
  ])('%j is refused and named', async (asked, path) => {
    const answer = await sendTable(alice, 'name,note\nAda,x\n', asked)
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, path])
  })

  test.each([
    ['', 'The file is empty'],
    ['\n\n', 'The first row must hold the names of the columns'],
    ['name,name\n1,2\n', 'Two columns are called name'],
    ['PK\x03\x04xxxx', 'not an XLSX'],
  ])('the file %j is refused', async (content, reason) => {
    const answer = await sendTable(alice, content, contacts)
    expect([answer.status, answer.body.errors?.[0]]).toEqual([
      400,
      expect.objectContaining({ path: 'file', message: expect.stringContaining(reason) }),
    ])
  })

  test('a form without a file, with two, or no form at all', async () => {
    const form = new FormData()
    form.set('resource', 'contacts')
    expect((await alice.raw('POST', '/imports', form)).body.errors[0].path).toBe('file')
    form.append('file', new Blob(['firstName\n']), 'a.csv')
    form.append('file', new Blob(['firstName\n']), 'b.csv')
    expect((await alice.raw('POST', '/imports', form)).body.errors[0].path).toBe('file')
    expect((await alice.post('/imports', contacts)).status).toBe(415)
    const cut = await alice.raw(
      'POST',
      '/imports',
      '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
      { 'content-type': 'multipart/form-data; boundary=x' },
    )
    expect(cut.status).toBe(400)
  })

  test('the same request under one key is one import', async () => {
    const once = (content: string) => sendTable(alice, content, contacts, { 'Idempotency-Key': 'table-1' })
    const first = await once('firstName\nOnly once\n')
    const second = await once('firstName\nOnly once\n')
    expect([second.status, second.body.id, second.headers.get('idempotent-replayed')]).toEqual([
      202,
      first.body.id,
      'true',
    ])
    expect((await once('firstName\nOnly twice\n')).status).toBe(422)
    await ended(alice, first.body.id)
    expect(await listOf('/contacts?firstName=Only%20once')).toHaveLength(1)
  })
})

test('thousands of rows tell their user once, and show how far they are', async () => {
  const dave = await house.found('Bulk', 'Dave')
  const socket = io(house.url, { path: '/ws', transports: ['websocket'], auth: { token: dave.token } })
  const progress: Record<string, unknown>[] = []
  socket.on('import:progress', (message) => progress.push(message))
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()))
  const { body: joined } = await dave.post('/users', {
    name: 'Rep',
    email: `rep.${Date.now()}@example.com`,
    password: 'correct horse battery',
  })
  const { stages } = (await listOf('/pipelines', dave))[0]
  const won = stages.find(({ kind }: { kind: string }) => kind === 'won').name
  const table = `name,value,owner,stage\n${rows(3_000, (index) => `Deal ${index},${index},Rep,${won}`)}\n`
  const done = await importTable(dave, table, {
    resource: 'deals',
    mapping: { name: 'name', value: 'value', owner: 'owner.name', stage: 'stage.name' },
  })
  expect(done).toMatchObject({ created: 3_000, failed: 0 })
  const entry = await eventually(async () => (await listOf('/notifications', dave))[0], 'the notification')
  expect(entry).toMatchObject({
    type: 'import.completed',
    entityType: 'import',
    entityId: done.id,
    actionUrl: `/imports/${done.id}`,
    message: '3000 created, 0 updated, 0 skipped, 0 failed of 3000 rows of table.csv',
  })
  await eventually(async () => progress.some(({ status }) => status === 'completed'), 'the last progress')
  expect(progress.at(-1)).toMatchObject({ id: done.id, percent: 100, processed: 3_000 })
  const percents = progress.map(({ percent }) => Number(percent))
  expect(percents).toEqual(percents.toSorted((a, b) => a - b))
  expect(await listOf('/notifications', dave)).toHaveLength(1)
  expect(joined.id).toBeTruthy()
  socket.close()
})
