import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCustomFields } from '../../entities/custom-fields/custom-field.queries.ts'
import { createEntities } from '../../entities/index.ts'
import { createLogger } from '../../kernel/log.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'
import { scoringCtx } from './scores.ts'
import { scoringModule } from './scoring.module.ts'

let house: TestApp

beforeAll(async () => {
  house = await startTestApp()
})
afterAll(() => house.stop())

const scored = (who: Client, id: string, score: number | null) =>
  eventually(async () => {
    const { body } = await who.get(`/contacts/${id}`)
    return body.leadScore === score && body
  }, `the score ${score}`)
const whyOf = async (who: Client, id: string) => (await who.get(`/contacts/${id}/score`)).body

describe('scoring', () => {
  test('follows what changes in a contact and around it, and explains itself', async () => {
    const dave = await house.found('Scores', 'Dave')
    const rule = (name: string, field: string, operator: string, value: unknown, points: number) =>
      dave.build('scoringRule', { name, field, operator, value, points })
    const decides = await rule('Decides', 'jobTitle', 'contains', 'chief', 20)
    await rule('Talks', 'interactions.last30Days', 'gte', 2, 15)
    await rule('Buys', 'deals.open', 'gt', 0, 30)
    await rule('Bought', 'deals.won', 'gt', 0, 5)
    await rule('Refuses', 'doNotContact', 'eq', true, -100)
    const { id } = await dave.build('contact', { jobTitle: 'Chief Engineer' })
    const { id: other } = await dave.build('contact', { jobTitle: 'Clerk' })
    await scored(dave, id, 20)
    expect(await whyOf(dave, id)).toEqual({
      score: 20,
      rules: [
        { id: decides.id, name: 'Decides', points: 20, why: 'jobTitle contains “chief”: it is “Chief Engineer”' },
      ],
    })
    const participants = [{ type: 'contact', id }]
    await dave.build('interaction', { participants })
    const second = await dave.build('interaction', { participants })
    await dave.build('interaction', { participants, occurredAt: '2020-01-01T00:00:00Z' })
    await scored(dave, id, 35)
    const deal = await dave.build('deal', { contactIds: [id] })
    await scored(dave, id, 65)
    await dave.post(`/deals/${deal.id}/win`)
    await scored(dave, id, 40)
    await dave.patch(`/deals/${deal.id}`, { contactIds: [other] })
    await scored(dave, id, 35)
    await scored(dave, other, 5)
    await dave.delete(`/interactions/${second.id}`)
    await scored(dave, id, 20)
    await dave.patch(`/contacts/${id}`, { doNotContact: true })
    await scored(dave, id, 0)
    expect((await whyOf(dave, id)).rules.map((reason: { points: number }) => reason.points)).toEqual([20, -100, 80])
    expect((await dave.get('/contacts?leadScore[gte]=5')).body.data.map((one: { id: string }) => one.id)).toEqual([
      other,
    ])
  })

  test('is a version of the contact without a line in its timeline', async () => {
    const dave = await house.found('Versions', 'Dave')
    await dave.build('scoringRule')
    const { id } = await dave.build('contact', { jobTitle: 'chief' })
    expect(await scored(dave, id, 20)).toMatchObject({ version: 2 })
    await dave.patch(`/contacts/${id}`, { firstName: 'Grace' })
    const told = await dave.timeline('contact', id, 2)
    expect(told.map(({ action }) => action)).toEqual(['created', 'updated'])
    const clerk = await dave.build('contact', { jobTitle: 'clerk' })
    await dave.patch(`/contacts/${clerk.id}`, { firstName: 'Ben' })
    await dave.timeline('contact', clerk.id, 2)
    expect((await dave.get(`/contacts/${clerk.id}`)).body).toMatchObject({ version: 2, leadScore: null })
  })

  test('follows the rules: a new one, a changed one, one that is switched off, one that goes', async () => {
    const dave = await house.found('Rules', 'Dave')
    const { id } = await dave.build('contact', { jobTitle: 'Chief', customFields: {} })
    const rule = await dave.build('scoringRule')
    const named = await dave.build('scoringRule', {
      name: 'Named',
      field: 'lastName',
      operator: 'isNull',
      value: false,
      points: 1,
    })
    await scored(dave, id, 21)
    await dave.patch(`/scoring-rules/${rule.id}`, { points: 50 })
    await scored(dave, id, 51)
    await dave.patch(`/scoring-rules/${rule.id}`, { active: false })
    await scored(dave, id, 1)
    await dave.patch(`/scoring-rules/${rule.id}`, { active: true, value: 'clerk' })
    await dave.patch(`/scoring-rules/${named.id}`, { operator: 'eq', value: 'Lovelace', points: 2 })
    await scored(dave, id, 2)
    await dave.delete(`/scoring-rules/${named.id}`)
    await scored(dave, id, 0)
    await dave.delete(`/scoring-rules/${rule.id}`)
    expect((await dave.patch(`/contacts/${id}`, { leadScore: 7 })).body.leadScore).toBe(7)
    expect(await whyOf(dave, id)).toEqual({
      score: 7,
      rules: [{ id: null, name: 'Set by hand', points: 7, why: 'there are no scoring rules' }],
    })
  })

  test('of a lead that is converted stays as it was, and holds up nobody', async () => {
    const dave = await house.found('Converted', 'Dave')
    const rule = { resource: 'lead', name: 'Converted', field: 'status', operator: 'eq', value: 'converted', points: 9 }
    expect((await dave.post('/scoring-rules', rule)).status).toBe(201)
    const lead = await dave.build('lead')
    await dave.post(`/leads/${lead.id}/convert`)
    const fresh = { ...rule, name: 'New', value: 'new', points: 4 }
    expect((await dave.post('/scoring-rules', fresh)).status).toBe(201)
    const other = await dave.build('lead', { lastName: 'Byron' })
    await eventually(async () => (await dave.get(`/leads/${other.id}`)).body.score === 4, 'the score of another lead')
    const after = (await dave.get(`/leads/${lead.id}`)).body
    expect([after.status, [null, 4]]).toEqual(['converted', expect.arrayContaining([after.score])])
    const waiting = `
      select count(*)::integer as n from events e join event_cursors c on c.lane = e.lane and (e.tx, e.seq) > (c.tx, c.seq)
      where c.subscription in ('scoring', 'rescoring') and e.type in ('lead', 'scoring_rule')`
    const count = async (query: string) =>
      (await asOwner(house.ownerUrl, (client) => client.query(query))).rows[0].n as number
    await eventually(async () => (await count(waiting)) === 0, 'the scoring at the end of the log')
    expect(await count('select count(*)::integer as n from parked_events')).toBe(0)
  })

  test('is of leads as well, with what was said about them', async () => {
    const dave = await house.found('Leads', 'Dave')
    const rule = { resource: 'lead', name: 'Rule' }
    await dave.build('scoringRule', { ...rule, field: 'source', operator: 'eq', value: 'fair', points: 10 })
    await dave.build('scoringRule', { ...rule, field: 'interactions.count', operator: 'gte', value: 1, points: 5 })
    const lead = await dave.build('lead', { source: 'fair' })
    const isScored = (score: number) =>
      eventually(async () => (await dave.get(`/leads/${lead.id}`)).body.score === score, `the lead's score ${score}`)
    await isScored(10)
    const leads = [{ type: 'lead', id: lead.id }]
    await dave.build('interaction', { participants: leads, related: leads })
    await isScored(15)
    const { body } = await dave.get(`/leads/${lead.id}/score`)
    expect([body.score, body.rules.length]).toEqual([15, 2])
    expect(body.rules[1].why).toBe('interactions.count is at least 1: it is 1')
    expect((await dave.patch(`/leads/${lead.id}`, { score: 3 })).body.errors?.[0]?.path).toBe('score')
    const deals = await dave.post('/scoring-rules', {
      ...rule,
      field: 'deals.open',
      operator: 'gt',
      value: 0,
      points: 1,
    })
    expect(deals.body.errors?.[0]?.path).toBe('field')
    const contact = await dave.build('contact', { source: 'fair', leadScore: 4 })
    expect(await whyOf(dave, contact.id)).toMatchObject({ score: 4 })
    expect((await dave.post(`/leads/${lead.id}/convert`, {})).status).toBe(200)
  })

  test('is worked out again each day, as what was within days may not be so any more', async () => {
    const dave = await house.found('Days', 'Dave')
    await dave.build('scoringRule', { field: 'createdAt', operator: 'withinDays', value: 1, points: 3 })
    const { id } = await dave.build('contact')
    await scored(dave, id, 3)
    await asOwner(house.ownerUrl, (client) =>
      client.query("update contacts set created_at = created_at - interval '2 days' where id = $1", [id]),
    )
    const { db } = house.app.database
    const { repository } = createEntities(db, createCustomFields(db))
    const [refresh] = scoringModule({ db, repository }).schedules ?? []
    const turn = { signal: new AbortController().signal, log: createLogger('silent') }
    expect(await refresh?.run({ ...turn, dryRun: true })).toMatchObject({ scored: 1 })
    expect(await refresh?.run({ ...turn, dryRun: false })).toMatchObject({ scored: 1 })
    await scored(dave, id, 0)
    expect(await refresh?.run({ ...turn, dryRun: false })).toMatchObject({ scored: 0 })
  })

  test('is worked out again from where the turn before was stopped', async () => {
    const dave = await house.found('Places', 'Dave')
    await dave.build('scoringRule', { field: 'createdAt', operator: 'withinDays', value: 1, points: 3 })
    const ids = [(await dave.build('contact')).id, (await dave.build('contact')).id].toSorted()
    for (const id of ids) await scored(dave, id, 3)
    await asOwner(house.ownerUrl, async (client) => {
      await client.query("update contacts set created_at = created_at - interval '2 days' where id = any($1)", [ids])
      await client.query("insert into score_refreshes (tenant_id, resource, after_id) values ($1, 'contact', $2)", [
        dave.tenantId,
        ids[0],
      ])
    })
    const { db } = house.app.database
    const { repository } = createEntities(db, createCustomFields(db))
    const [refresh] = scoringModule({ db, repository }).schedules ?? []
    const turn = { dryRun: false, signal: new AbortController().signal, log: createLogger('silent') }
    expect(await refresh?.run(turn)).toEqual({ resources: 1, scored: 1, failed: 0 })
    await scored(dave, ids[1] ?? '', 0)
    await scored(dave, ids[0] ?? '', 3)
    const tomorrow = "update score_refreshes set finished_at = finished_at - interval '1 day' where tenant_id = $1"
    await asOwner(house.ownerUrl, (client) => client.query(tomorrow, [dave.tenantId]))
    expect(await refresh?.run(turn)).toEqual({ resources: 1, scored: 1, failed: 0 })
    await scored(dave, ids[0] ?? '', 0)
  })

  test('makes the score read-only as long as there are rules', async () => {
    const dave = await house.found('Read-only', 'Dave')
    const { id } = await dave.build('contact', { jobTitle: 'chief', leadScore: 3, externalId: 'one' })
    await dave.build('scoringRule')
    const contact = await scored(dave, id, 20)
    const { version } = contact
    for (const answer of [
      await dave.post('/contacts', { firstName: 'x', leadScore: 5 }),
      await dave.patch(`/contacts/${id}`, { leadScore: 5 }),
      await dave.patch(`/contacts/${id}`, { leadScore: null }),
      await dave.put(`/contacts/${id}`, { firstName: 'x', leadScore: 5 }),
      await dave.put(`/contacts/by-external-id/one`, { leadScore: 5 }),
      await dave.post('/contacts', { firstName: 'x', leadScore: 5 }, { 'Idempotency-Key': 'score' }),
    ])
      expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, 'leadScore'])
    const bulk = await dave.post('/contacts/bulk', {
      operations: [
        { op: 'create', data: { firstName: 'Good' } },
        { op: 'create', data: { firstName: 'Bad', leadScore: 5 } },
      ],
    })
    expect(bulk.body.results.map((result: { status: number }) => result.status)).toEqual([201, 400])
    expect((await dave.patch(`/contacts/${id}`, contact)).body.version).toBe(version)
    const put = await dave.put(`/contacts/${id}`, { firstName: 'Put', jobTitle: 'chief' })
    expect(put.body).toMatchObject({ leadScore: 20, version: version + 1 })
  })

  test('is left out by an import, which may bring what an export gave', async () => {
    const dave = await house.found('Imports', 'Dave')
    await dave.build('scoringRule', { active: true, points: 4 })
    const { db } = house.app.database
    const contacts = createEntities(db, createCustomFields(db)).repository('contact')
    const tx = db.tenant({
      ...scoringCtx(dave.tenantId, 'import'),
      actor: { id: null, type: 'import', name: 'Import' },
    })
    const row = { firstName: 'Ada', jobTitle: 'chief', leadScore: 90 }
    const { id } = await contacts.create(tx, row)
    await contacts.createMany(tx, [{ values: row }, { values: { firstName: 'Ben' } }])
    const { version } = await scored(dave, id, 4)
    expect(await contacts.update(tx, id, { leadScore: 50 })).toMatchObject({ changed: false, version })
    expect((await dave.get('/contacts?leadScore[gt]=4')).body.data).toEqual([])
  })

  test('property: through the front door a score is the sum of its explanation', async () => {
    const dave = await house.found('Properties', 'Dave')
    await dave.post('/custom-fields', { resource: 'contact', key: 'seats', label: 'Seats', type: 'number' })
    const titles = ['Chief', 'Clerk', 'chief clerk', null]
    const asked = fc.constantFrom(
      { field: 'jobTitle', operator: 'contains', value: 'chief' },
      { field: 'jobTitle', operator: 'in', value: ['Clerk', 'Chief'] },
      { field: 'jobTitle', operator: 'isNull', value: true },
      { field: 'tags', operator: 'eq', value: 'vip' },
      { field: 'cf.seats', operator: 'gte', value: 10 },
      { field: 'stage', operator: 'ne', value: 'prospect' },
      { field: 'createdAt', operator: 'withinDays', value: 1 },
    )
    const rules = fc.array(fc.record({ asked, points: fc.integer({ min: -100, max: 100 }) }), {
      minLength: 1,
      maxLength: 5,
    })
    const contacts = fc.array(
      fc.record({
        jobTitle: fc.constantFrom(...titles),
        tags: fc.subarray(['vip', 'new']),
        stage: fc.constantFrom('prospect', 'customer'),
        customFields: fc.record({ seats: fc.integer({ min: 0, max: 20 }) }),
      }),
      { minLength: 1, maxLength: 5 },
    )
    await fc.assert(
      fc.asyncProperty(rules, contacts, async (chosen, people) => {
        const made = await Promise.all(
          chosen.map(({ asked: question, points }) => dave.build('scoringRule', { ...question, points })),
        )
        const built = await Promise.all(people.map((person) => dave.build('contact', person)))
        for (const { id } of built) {
          const { score, rules: reasons } = await whyOf(dave, id)
          expect(reasons.reduce((sum: number, { points }: { points: number }) => sum + points, 0)).toBe(score)
          await eventually(async () => ((await dave.get(`/contacts/${id}`)).body.leadScore ?? 0) === score, 'the score')
        }
        await Promise.all(made.map(({ id }) => dave.delete(`/scoring-rules/${id}`)))
      }),
      { numRuns: 8 },
    )
  })

  test('is explained to who may read the contact', async () => {
    const { id } = await house.alice.build('contact')
    expect((await house.bob.get(`/contacts/${id}/score`)).body).toEqual({ score: 0, rules: [] })
    expect((await house.charlie.get(`/contacts/${id}/score`)).status).toBe(404)
    expect((await house.nobody.get(`/contacts/${id}/score`)).status).toBe(401)
    await house.alice.delete(`/contacts/${id}`)
    expect((await house.alice.get(`/contacts/${id}/score`)).status).toBe(404)
  })
})

describe('a rule', () => {
  test('must fit together, also after a change', async () => {
    const { alice } = house
    const rule = {
      resource: 'contact',
      name: 'Rule',
      field: 'jobTitle',
      operator: 'eq',
      value: 'x',
      points: 1,
      active: false,
    }
    for (const [change, path] of [
      [{ resource: 'deal' }, 'resource'],
      [{ field: 'nothing' }, 'field'],
      [{ field: 'leadScore' }, 'field'],
      [{ field: 'address' }, 'field'],
      [{ field: 'constructor' }, 'field'],
      [{ field: 'cf.nothing' }, 'field'],
      [{ operator: 'gt' }, 'operator'],
      [{ operator: 'like' }, 'operator'],
      [{ value: 5 }, 'value'],
      [{ value: null }, 'value'],
      [{ value: undefined }, 'value'],
      [{ operator: 'in' }, 'value'],
      [{ operator: 'isNull' }, 'value'],
      [{ field: 'stage' }, 'value'],
      [{ field: 'birthday', operator: 'gt', value: 'soon' }, 'value'],
      [{ field: 'lastContactedAt', operator: 'withinDays', value: -1 }, 'value'],
      [{ field: 'deals.open', operator: 'gt', value: 'many' }, 'value'],
      [{ points: 101 }, 'points'],
      [{ points: 1.5 }, 'points'],
      [{ name: '' }, 'name'],
    ] as const) {
      const answer = await alice.post('/scoring-rules', { ...rule, ...change })
      expect([change, answer.status, answer.body.errors?.[0]?.path]).toEqual([change, 400, path])
    }
    const { id } = await alice.build('scoringRule', {
      ...rule,
      field: 'lastContactedAt',
      operator: 'gt',
      value: '2026-01-01',
    })
    expect((await alice.get(`/scoring-rules/${id}`)).body.value).toBe('2026-01-01T00:00:00.000Z')
    const unfit = await alice.patch(`/scoring-rules/${id}`, { field: 'tags' })
    expect([unfit.status, unfit.body.errors[0].path]).toEqual([400, 'operator'])
    const fit = await alice.patch(`/scoring-rules/${id}`, { field: 'tags', operator: 'eq', value: 'vip' })
    expect(fit.body).toMatchObject({ field: 'tags', value: 'vip', version: 2 })
    expect((await alice.patch(`/scoring-rules/${id}`, fit.body)).body.version).toBe(2)
    expect((await alice.patch(`/scoring-rules/${id}`, { points: 2 }, { 'if-match': '"1"' })).status).toBe(412)
  })

  test('is written by admins and read by everybody of the tenant', async () => {
    const { id } = await house.alice.build('scoringRule', { active: false })
    expect((await house.bob.get(`/scoring-rules/${id}`)).status).toBe(200)
    expect((await house.bob.patch(`/scoring-rules/${id}`, { points: 1 })).status).toBe(403)
    const values = { resource: 'contact', name: 'x', field: 'name', operator: 'eq', value: 'x', points: 1 }
    expect((await house.bob.post('/scoring-rules', values)).status).toBe(403)
    expect((await house.bob.delete(`/scoring-rules/${id}`)).status).toBe(403)
    expect((await house.charlie.get(`/scoring-rules/${id}`)).status).toBe(404)
    expect((await house.nobody.get('/scoring-rules')).status).toBe(401)
  })
})
