import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'
import { hold } from '../../test/hold.ts'

let house: TestApp
let alice: Client
let sales: Pipeline

interface Pipeline {
  readonly id: string
  readonly stages: { id: string; name: string; kind: string; rottingDays: number | null }[]
}

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice } = house)
  sales = (await alice.get('/pipelines?isDefault=true')).body.data[0]
})
afterAll(() => house.stop())

const stageOf = (name: string): string => {
  const stage = sales.stages.find((one) => one.name === name)
  if (!stage) throw new Error(`there is no stage ${name}`)
  return stage.id
}
const staysOf = async (id: string) => (await alice.get(`/deals/${id}/stages`)).body.data
const day = 86_400_000

describe('where a deal has been', () => {
  test('is kept for each stage that it entered, whatever brought it there, and by whom', async () => {
    const { id } = await alice.build('deal', { externalId: 'way' })
    await alice.patch(`/deals/${id}`, { name: 'No other stage', stageId: stageOf('Qualified') })
    await alice.patch(`/deals/${id}`, { stageId: stageOf('Proposal') })
    await alice.post(`/deals/${id}/move`, { stageId: stageOf('Negotiation'), position: 3 })
    await alice.post(`/deals/${id}/win`)
    await alice.post(`/deals/${id}/reopen`)
    await alice.post(`/deals/${id}/lose`)
    const mary = await house.join('Mary', 'admin')
    await mary.post('/deals/bulk', { operations: [{ op: 'update', id, data: { stageId: stageOf('Proposal') } }] })
    await mary.put('/deals/by-external-id/way', { stageId: stageOf('Won') })
    const stays = await staysOf(id)
    expect(stays.map((stay: { stageName: string }) => stay.stageName)).toEqual([
      'Qualified',
      'Proposal',
      'Negotiation',
      'Won',
      'Qualified',
      'Lost',
      'Proposal',
      'Won',
    ])
    for (const [place, stay] of stays.entries()) {
      expect(stay.leftAt).toBe(stays[place + 1]?.enteredAt ?? null)
      expect(stay.pipelineId).toBe(sales.id)
      expect(stay.enteredById).toBe(place < 6 ? alice.userId : mary.userId)
      expect(stay.seconds).toBeGreaterThanOrEqual(0)
    }
    const { body: deal } = await alice.get(`/deals/${id}`)
    expect(deal.stageEnteredAt).toBe(stays.at(-1).enteredAt)
  })

  test('goes on in another pipeline, and keeps the name of a stage that is gone', async () => {
    const partners = (await alice.build('pipeline', {
      name: 'Gone',
      stages: [{ name: 'First' }, { name: 'Second' }],
    })) as unknown as Pipeline
    const { id } = await alice.build('deal', { pipelineId: partners.id })
    await alice.patch(`/deals/${id}`, { pipelineId: sales.id })
    const [, second] = partners.stages
    expect((await alice.patch(`/pipelines/${partners.id}`, { stages: [second] })).status).toBe(200)
    expect((await staysOf(id)).map((stay: { stageName: string }) => stay.stageName)).toEqual(['First', 'Qualified'])
  })

  test('is told of many at once, and of a deal that had ended before it came', async () => {
    const closedAt = '2026-01-15T12:00:00.000Z'
    const made = await alice.post('/deals/bulk', {
      operations: [
        { op: 'create', data: { name: 'Old', stageId: stageOf('Won'), closedAt } },
        { op: 'create', data: { name: 'New' } },
      ],
    })
    const [old, recent] = made.body.results.map((result: { record: unknown }) => result.record)
    expect(await staysOf(old.id)).toMatchObject([{ stageName: 'Won', enteredAt: closedAt, leftAt: null }])
    expect(await staysOf(recent.id)).toMatchObject([{ stageName: 'Qualified', enteredAt: recent.createdAt }])
    const future = await alice.build('deal', { stageId: stageOf('Won'), closedAt: '2099-01-01T00:00:00.000Z' })
    expect(future.stageEnteredAt).toBe(future.createdAt)
  })

  test('two who move it at once leave one way through the stages', async () => {
    const { id } = await alice.build('deal')
    const names = ['Proposal', 'Negotiation', 'Proposal', 'Negotiation']
    await Promise.all(names.map((name) => alice.post(`/deals/${id}/move`, { stageId: stageOf(name) })))
    const stays = await staysOf(id)
    for (const [place, stay] of stays.entries()) {
      expect(stay.leftAt).toBe(stays[place + 1]?.enteredAt ?? null)
      expect(stay.stageId).not.toBe(stays[place + 1]?.stageId)
    }
    expect(stays.at(-1).stageId).toBe((await alice.get(`/deals/${id}`)).body.stageId)
  })

  test('a move that began before another and comes after it is the later one', async () => {
    const { id } = await alice.build('deal')
    const held = await hold(house.ownerUrl, 'select lock_tags($1, $2)', [alice.tenantId, ['late']])
    const late = alice.patch(`/deals/${id}`, { tags: ['late'], stageId: stageOf('Negotiation') })
    await held.until(1)
    await alice.post(`/deals/${id}/move`, { stageId: stageOf('Proposal') })
    await held.release()
    expect((await late).status).toBe(200)
    const stays = await staysOf(id)
    expect(stays.map((stay: { stageName: string }) => stay.stageName)).toEqual(['Qualified', 'Proposal', 'Negotiation'])
    for (const [place, stay] of stays.entries()) {
      expect(stay.leftAt).toBe(stays[place + 1]?.enteredAt ?? null)
      expect(stay.seconds).toBeGreaterThanOrEqual(0)
    }
  })

  test('is seen by who may read the deal', async () => {
    const { id } = await alice.build('deal')
    expect((await house.bob.get(`/deals/${id}/stages`)).status).toBe(200)
    expect((await house.charlie.get(`/deals/${id}/stages`)).status).toBe(404)
    expect((await house.nobody.get(`/deals/${id}/stages`)).status).toBe(401)
    await alice.delete(`/deals/${id}`)
    expect((await alice.get(`/deals/${id}/stages`)).status).toBe(404)
  })
})

describe('a deal that rots', () => {
  test('has a time from when it does, found by a range and sorted by it', async () => {
    const dave = await house.found('Rotten', 'Dave')
    const [pipeline] = (await dave.get('/pipelines')).body.data
    const withDays = (days: Record<string, number | null>) =>
      dave.patch(`/pipelines/${pipeline.id}`, {
        stages: pipeline.stages.map((stage: { name: string }) => ({ ...stage, rottingDays: days[stage.name] ?? null })),
      })
    const before = await dave.build('deal')
    expect(before.rotsAt).toBe(null)
    expect((await withDays({ Qualified: 10, Proposal: 3, Won: 1 })).status).toBe(200)
    const rotsAfter = async (id: string) => {
      const { rotsAt, stageEnteredAt } = (await dave.get(`/deals/${id}`)).body
      return rotsAt === null ? null : (Date.parse(rotsAt) - Date.parse(stageEnteredAt)) / day
    }
    const became = (id: string, days: number | null) =>
      eventually(async () => (await rotsAfter(id)) === days, `${days} days until the deal rots`)
    await became(before.id, 10)
    expect((await dave.get(`/deals/${before.id}`)).body.version).toBe(1)
    const after = await dave.build('deal')
    expect(await rotsAfter(after.id)).toBe(10)
    const won = await dave.post(`/deals/${after.id}/win`)
    expect(won.body.rotsAt).toBe(null)
    const moved = await dave.post(`/deals/${before.id}/move`, {
      stageId: pipeline.stages.find((stage: { name: string }) => stage.name === 'Proposal').id,
    })
    expect(await rotsAfter(moved.body.id)).toBe(3)
    const third = await dave.build('deal')
    const sorted = await dave.get('/deals?sort=rotsAt')
    expect(sorted.body.data.map((deal: { id: string }) => deal.id)).toEqual([before.id, third.id, after.id])
    const at = (days: number) => new Date(Date.now() + days * day).toISOString()
    const idsAt = async (filter: string) =>
      (await dave.get(`/deals?${filter}`)).body.data.map((deal: { id: string }) => deal.id)
    expect(await idsAt(`rotsAt[lt]=${at(0)}`)).toEqual([])
    expect(await idsAt(`rotsAt[lt]=${at(5)}`)).toEqual([before.id])
    expect(await idsAt(`rotsAt[isNull]=true`)).toEqual([after.id])
    expect(await idsAt(`stageEnteredAt[gt]=${at(-1)}&limit=2`)).toHaveLength(2)
    await withDays({ Proposal: 5 })
    await became(before.id, 5)
    await became(third.id, null)
  })

  test('is worked out, not set', async () => {
    const deal = await alice.build('deal')
    for (const member of ['rotsAt', 'stageEnteredAt']) {
      expect((await alice.post('/deals', { name: 'x', [member]: deal.createdAt })).body.errors?.[0]?.path).toBe(member)
      const changed = await alice.patch(`/deals/${deal.id}`, { [member]: '2020-01-01T00:00:00.000Z' })
      expect([changed.status, changed.body.errors?.[0]?.path]).toEqual([400, member])
    }
    expect((await alice.patch(`/deals/${deal.id}`, deal)).body.version).toBe(1)
  })
})
