import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'

let house: TestApp
let alice: Client
let bob: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob } = house)
})
afterAll(() => house.stop())

let count = 0
/** A lead whom nobody knows yet. */
const stranger = () => ({
  lastName: `Byron ${++count}`,
  email: `byron${count}@harrow${count}.example`,
  companyName: `Harrow ${count}`,
})
const read = async (path: string) => (await alice.get(path)).body

describe('a lead', () => {
  test('is new, the caller’s, and called by its name, its company or its address', async () => {
    const made = await alice.build('lead', { tags: ['fair'], score: 7, address: { city: 'Turin' } })
    expect(made).toMatchObject({
      name: 'Ada Lovelace',
      status: 'new',
      ownerId: alice.userId,
      score: 7,
      convertedAt: null,
    })
    expect((await alice.post('/leads', { companyName: 'Acme' })).body.name).toBe('Acme')
    const { body } = await alice.post('/leads', { email: 'a@b.example' })
    expect(body.name).toBe('a@b.example')
    expect((await alice.patch(`/leads/${body.id}`, { firstName: 'Al' })).body.name).toBe('Al')
    expect((await read(`/leads?status=new&tags=fair`)).data).toEqual([made])
  })

  test.each([
    [{ firstName: 'Ada', phone: '123' }, 'lastName'],
    [{ lastName: 'x', status: 'hot' }, 'status'],
    [{ lastName: 'x', email: 'x' }, 'email'],
    [{ lastName: 'x', score: -1 }, 'score'],
    [{ lastName: 'x', convertedAt: '2026-01-01T00:00:00.000Z' }, 'convertedAt'],
    [{ lastName: 'x', ownerId: crypto.randomUUID() }, 'ownerId'],
  ])('%j is 400', async (body, path) => {
    const answer = await alice.post('/leads', body)
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, path])
  })

  test('keeps one of the members that it needs', async () => {
    const { id } = await alice.build('lead', stranger())
    const answer = await alice.patch(`/leads/${id}`, { lastName: null, email: null, companyName: null })
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, 'lastName'])
  })

  test('is converted by the verb alone', async () => {
    const created = await alice.post('/leads', { lastName: 'x', status: 'converted' })
    const { id } = await alice.build('lead')
    const changed = await alice.patch(`/leads/${id}`, { status: 'converted' })
    for (const answer of [created, changed])
      expect([answer.status, answer.body.code]).toEqual([422, 'INVALID_TRANSITION'])
  })
})

describe('converting', () => {
  test('makes a contact, a company and a deal with what the lead says, and keeps the lead', async () => {
    for (const resource of ['lead', 'contact', 'deal'])
      await alice.build('customField', { resource, key: 'region', type: resource === 'deal' ? 'number' : 'text' })
    const sent = {
      ...stranger(),
      firstName: 'George',
      phone: `+39 011 ${Date.now()}`,
      jobTitle: 'Poet',
      source: 'fair',
      ownerId: bob.userId,
      address: { city: 'Turin' },
      tags: ['vip'],
      customFields: { region: 'EMEA' },
    }
    const { id } = await alice.build('lead', sent)
    const deal = { value: 1200.5, currency: 'EUR' }
    const answer = await alice.post(`/leads/${id}/convert`, { deal, contact: { jobTitle: 'Lord' } })
    expect(answer.status).toBe(200)
    const lead = answer.body
    expect(lead).toMatchObject({ id, status: 'converted', version: 2, lastName: sent.lastName })
    expect(Math.abs(Date.parse(lead.convertedAt) - Date.now())).toBeLessThan(60_000)
    const { lastName, email, phone, source, tags, ownerId, customFields, address } = sent
    expect(await read(`/contacts/${lead.convertedContactId}`)).toMatchObject({
      ...{
        firstName: 'George',
        lastName,
        email,
        phone,
        jobTitle: 'Lord',
        source,
        tags,
        ownerId,
        customFields,
        address,
      },
      companyId: lead.convertedCompanyId,
    })
    expect(await read(`/companies/${lead.convertedCompanyId}`)).toMatchObject({ name: sent.companyName, ownerId, tags })
    expect(await read(`/deals/${lead.convertedDealId}`)).toMatchObject({
      ...{ name: sent.companyName, ...deal, status: 'open', source, tags, ownerId, customFields: {} },
      companyId: lead.convertedCompanyId,
      contactIds: [lead.convertedContactId],
    })
    expect((await read(`/leads/${id}?include=convertedContact`)).convertedContact.lastName).toBe(lastName)
    expect((await read(`/leads?convertedContactId=${lead.convertedContactId}`)).data).toEqual([lead])
    const told = await alice.timeline('lead', id, 2)
    expect(told[1]).toMatchObject({
      description: `Alice converted the lead “George ${lastName}”`,
      metadata: { verb: 'converted' },
    })
  })

  test('makes no deal unless asked, and no contact where there is no person', async () => {
    const plain = await alice.build('lead', stranger())
    expect((await alice.post(`/leads/${plain.id}/convert`)).body).toMatchObject({
      convertedContactId: expect.any(String),
      convertedCompanyId: expect.any(String),
      convertedDealId: null,
    })
    const { id } = (await alice.post('/leads', { companyName: stranger().companyName })).body
    const { body } = await alice.post(`/leads/${id}/convert`, { createDeal: true })
    expect(body).toMatchObject({ convertedContactId: null, convertedDealId: expect.any(String) })
    expect(await read(`/deals/${body.convertedDealId}`)).toMatchObject({
      contactIds: [],
      companyId: body.convertedCompanyId,
    })
  })

  test('uses the contact and the company that are named', async () => {
    const company = await alice.build('company', { name: 'Known' })
    const contact = await alice.build('contact')
    const { id } = await alice.build('lead', stranger())
    const body = { contactId: contact.id, companyId: company.id, createDeal: true }
    const lead = (await alice.post(`/leads/${id}/convert`, body)).body
    expect(lead).toMatchObject({ convertedContactId: contact.id, convertedCompanyId: company.id })
    expect(await read(`/contacts/${contact.id}`)).toMatchObject({
      lastName: 'Lovelace',
      companyId: company.id,
      version: 2,
    })
  })

  test('follows a contact that was merged into another', async () => {
    const [kept, merged] = [await alice.build('contact'), await alice.build('contact')]
    expect((await alice.post(`/contacts/${kept.id}/merge`, { fromIds: [merged.id] })).status).toBe(200)
    const { id } = await alice.build('lead', stranger())
    const lead = (await alice.post(`/leads/${id}/convert`, { contactId: merged.id })).body
    expect(lead.convertedContactId).toBe(kept.id)
  })

  test('brings along notes, tasks, interactions and comments', async () => {
    const { id } = await alice.build('lead', stranger())
    const related = [{ type: 'lead', id }]
    const note = await bob.build('note', { related })
    const task = await alice.build('task', { related })
    const occurredAt = '2026-02-03T10:00:00.000Z'
    const call = await alice.build('interaction', { participants: related, related, occurredAt })
    const gone = await alice.build('note', { related })
    await alice.delete(`/notes/${gone.id}`)
    await alice.post(`/leads/${id}/comments`, { body: 'Sounds keen' })
    const { body: lead } = await alice.post(`/leads/${id}/convert`)
    const both = [...related, { type: 'contact', id: lead.convertedContactId }]
    expect(await read(`/notes/${note.id}`)).toMatchObject({ related: both, version: 2 })
    expect(await read(`/tasks/${task.id}`)).toMatchObject({ related: both, version: 2 })
    expect(await read(`/interactions/${call.id}`)).toMatchObject({ related: both, participants: both, version: 2 })
    expect((await read(`/notes?related=${lead.convertedContactId}`)).data).toHaveLength(1)
    expect((await read(`/contacts/${lead.convertedContactId}`)).lastContactedAt).toBe(occurredAt)
    expect((await read(`/contacts/${lead.convertedContactId}/comments`)).data).toHaveLength(1)
    expect((await read(`/leads/${id}/comments`)).data).toHaveLength(0)
    expect((await alice.post(`/notes/${gone.id}/restore`)).body.related).toEqual(related)
  })

  test('happens once, also when two want it at the same time, and the lead stays as it was', async () => {
    const sent = stranger()
    const { id } = await alice.build('lead', sent)
    const answers = await Promise.all([1, 2, 3].map(() => alice.post(`/leads/${id}/convert`, { duplicates: 'ignore' })))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 422, 422])
    expect((await read(`/contacts?lastName=${encodeURIComponent(sent.lastName)}`)).data).toHaveLength(1)
    for (const answer of [
      await alice.post(`/leads/${id}/convert`),
      await alice.patch(`/leads/${id}`, { jobTitle: 'x' }),
      await alice.patch(`/leads/${id}`, { status: 'new' }),
      await alice.put(`/leads/${id}`, { lastName: 'x' }),
    ])
      expect([answer.status, answer.body.code]).toEqual([422, 'INVALID_TRANSITION'])
    expect((await alice.patch(`/leads/${id}`, { lastName: sent.lastName })).body.version).toBe(2)
    expect((await alice.delete(`/leads/${id}`)).status).toBe(204)
    expect((await alice.post(`/leads/${id}/restore`)).body.status).toBe('converted')
  })

  test('under a key happens once and answers the same again', async () => {
    const { id } = await alice.build('lead', stranger())
    const key = { 'Idempotency-Key': crypto.randomUUID() }
    const first = await alice.post(`/leads/${id}/convert`, {}, key)
    const again = await alice.post(`/leads/${id}/convert`, {}, key)
    expect([again.status, again.headers.get('idempotent-replayed'), again.body]).toEqual([200, 'true', first.body])
  })
})

describe('who is known already', () => {
  test('is offered before anything is made, however address and number are written', async () => {
    const sent = stranger()
    const company = await alice.build('company', { name: sent.companyName.toUpperCase() })
    const byEmail = await alice.build('contact', { email: sent.email.toUpperCase() })
    const byPhone = await alice.build('contact', { phone: '020 7946 0958' })
    const lead = await alice.build('lead', { ...sent, phone: '+44 (20) 7946-0958' })
    const candidates = [
      { type: 'contact', id: byEmail.id, name: 'Ada Lovelace', email: byEmail.email },
      { type: 'contact', id: byPhone.id, name: 'Ada Lovelace', email: null },
      { type: 'company', id: company.id, name: company.name, email: null },
    ]
    const path = `/leads/${lead.id}/convert`
    expect((await read(path)).candidates).toEqual(candidates)
    const refused = await alice.post(path, { createDeal: true })
    expect([refused.status, refused.body.code, refused.body.candidates]).toEqual([409, 'DUPLICATE', candidates])
    expect((await read(`/leads/${lead.id}`)).version).toBe(1)
    const used = await alice.post(path, { contactId: byEmail.id, createDeal: true })
    expect(used.body).toMatchObject({ convertedContactId: byEmail.id, convertedCompanyId: company.id })
    const twin = await alice.build('lead', sent)
    const made = (await alice.post(`/leads/${twin.id}/convert`, { duplicates: 'ignore' })).body
    expect([byEmail.id, company.id]).not.toContain(made.convertedContactId)
    expect(made.convertedCompanyId).not.toBe(company.id)
  })

  test('is found by any address or number, and by a name that is written otherwise', async () => {
    const sent = stranger()
    const byOther = await alice.build('contact', { email: `old-${sent.email}`, emails: [sent.email] })
    const byPhone = await alice.build('contact', { phones: ['020 7000 1234'] })
    const namesake = await alice.build('contact')
    const company = await alice.build('company', { name: `${sent.companyName}, Ltd.` })
    const lead = await alice.build('lead', { ...sent, phone: '+44 20 7000 1234' })
    const path = `/leads/${lead.id}/convert`
    const found = await eventually(async () => {
      const ids = (await read(path)).candidates.map(({ id }: { id: string }) => id)
      return ids.length >= 3 && ids
    }, 'all three')
    expect(found.toSorted()).toEqual([byOther.id, byPhone.id, company.id].toSorted())
    expect(found).not.toContain(namesake.id)
    expect((await alice.post(path)).body.code).toBe('DUPLICATE')
    expect((await alice.post(path, { contactId: byOther.id })).status).toBe(200)
  })

  test('is nobody of another tenant', async () => {
    const sent = stranger()
    await house.charlie.build('contact', { email: sent.email })
    const { id } = await alice.build('lead', sent)
    expect((await read(`/leads/${id}/convert`)).candidates).toEqual([])
    expect((await alice.post(`/leads/${id}/convert`)).status).toBe(200)
  })
})

describe('what is wrong', () => {
  test('who may not change the lead may not convert it', async () => {
    const { id } = await alice.build('lead', stranger())
    const path = `/leads/${id}/convert`
    expect((await house.nobody.post(path)).status).toBe(401)
    expect((await house.charlie.post(path)).status).toBe(404)
    expect((await house.charlie.get(path)).status).toBe(404)
    expect((await bob.post(path)).status).toBe(403)
    expect((await bob.get(path)).status).toBe(200)
    const his = await alice.build('lead', { ...stranger(), ownerId: bob.userId })
    expect((await bob.post(`/leads/${his.id}/convert`)).status).toBe(200)
    expect((await alice.post(path, {}, { 'If-Match': '"7"' })).status).toBe(412)
    await alice.delete(`/leads/${id}`)
    expect((await alice.post(path)).status).toBe(404)
  })

  test('is named, and then nothing has been made', async () => {
    const sent = stranger()
    const { id } = await alice.build('lead', sent)
    const theirs = await house.charlie.build('contact')
    for (const [body, path] of [
      [{ contactId: 'x' }, 'contactId'],
      [{ contactId: theirs.id }, 'contactId'],
      [{ companyId: crypto.randomUUID() }, 'companyId'],
      [{ contactId: theirs.id, contact: {} }, 'contact'],
      [{ duplicates: 'merge' }, 'duplicates'],
      [{ createDeal: false, deal: { value: 1 } }, 'deal'],
      [{ deal: { value: 'much' } }, 'deal.value'],
      [{ deal: { status: 'won' } }, 'deal.status'],
      [{ deal: { stageId: crypto.randomUUID() } }, 'deal.stageId'],
      [{ contact: { customFields: { none: 1 } } }, 'contact.customFields.none'],
      [{ force: true }, 'force'],
    ] as const) {
      const answer = await alice.post(`/leads/${id}/convert`, body)
      expect([body, answer.status, answer.body.errors?.[0]?.path]).toEqual([body, 400, path])
    }
    expect((await read(`/companies?name=${encodeURIComponent(sent.companyName)}`)).data).toEqual([])
    expect((await read(`/leads/${id}`)).version).toBe(1)
  })
})
