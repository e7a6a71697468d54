import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'

let house: TestApp
let alice: Client
let sales: Pipeline
let partners: Pipeline

interface Pipeline {
  readonly id: string
  readonly stages: { id: string; name: string; kind: string; probability: number }[]
}

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice } = house)
  const { body } = await alice.get('/pipelines?isDefault=true')
  sales = body.data[0]
  partners = (await alice.build('pipeline')) as unknown as Pipeline
})
afterAll(() => house.stop())

const stageOf = (pipeline: Pipeline, kind: string, nth = 0): string => {
  const stage = pipeline.stages.filter((one) => one.kind === kind)[nth]
  if (!stage) throw new Error(`there is no ${kind} stage`)
  return stage.id
}
const isNow = (time: string) => Math.abs(Date.parse(time) - Date.now()) < 60_000

describe('where a deal stands', () => {
  test('absent pipeline and stage: the first open stage of the default pipeline', async () => {
    const deal = await alice.build('deal')
    expect(deal).toMatchObject({
      pipelineId: sales.id,
      stageId: stageOf(sales, 'open'),
      status: 'open',
      closedAt: null,
    })
    const other = await alice.build('deal', { pipelineId: partners.id })
    expect(other).toMatchObject({ pipelineId: partners.id, stageId: stageOf(partners, 'open') })
    const byStage = await alice.build('deal', { stageId: stageOf(partners, 'lost') })
    expect(byStage).toMatchObject({ pipelineId: partners.id, status: 'lost' })
  })

  test('its status follows the stage in whatever way it got there', async () => {
    const [won, lost] = [stageOf(sales, 'won'), stageOf(sales, 'lost')]
    const created = await alice.build('deal', { stageId: won })
    expect(created.status).toBe('won')
    expect(isNow(String(created.closedAt))).toBe(true)
    const { id } = await alice.build('deal')
    expect((await alice.patch(`/deals/${id}`, { stageId: won })).body).toMatchObject({ status: 'won' })
    expect((await alice.post(`/deals/${id}/move`, { stageId: lost })).body).toMatchObject({ status: 'lost' })
    const put = await alice.put(`/deals/${id}`, { name: 'x', stageId: stageOf(sales, 'open', 1) })
    expect(put.body).toMatchObject({ status: 'open', closedAt: null })
    const bulk = await alice.post('/deals/bulk', { operations: [{ op: 'update', id, data: { stageId: won } }] })
    expect(bulk.body.results[0].record.status).toBe('won')
    expect((await alice.patch(`/deals/${id}`, { status: 'open' })).status).toBe(400)
  })

  test('a stage of another pipeline takes it there, unless the pipeline is named too', async () => {
    const { id } = await alice.build('deal')
    const stageId = stageOf(partners, 'won')
    for (const answer of [
      await alice.post('/deals', { name: 'x', pipelineId: sales.id, stageId }),
      await alice.post('/deals', { name: 'x', pipelineId: partners.id, stageId: stageOf(sales, 'open') }),
    ])
      expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, 'stageId'])
    const moved = await alice.post(`/deals/${id}/move`, { stageId })
    expect(moved.body).toMatchObject({ pipelineId: partners.id, status: 'won' })
    const back = await alice.patch(`/deals/${id}`, { pipelineId: sales.id })
    expect(back.body).toMatchObject({ stageId: stageOf(sales, 'open'), status: 'open' })
  })

  test('a stage of a deleted pipeline is none', async () => {
    const gone = (await alice.build('pipeline', { name: 'Gone' })) as unknown as Pipeline
    await alice.delete(`/pipelines/${gone.id}`)
    const made = await alice.post('/deals', { name: 'x', stageId: stageOf(gone, 'open') })
    expect([made.status, made.body.errors?.[0]?.path]).toEqual([400, 'stageId'])
    const { id } = await alice.build('deal')
    expect((await alice.post(`/deals/${id}/move`, { stageId: stageOf(gone, 'won') })).status).toBe(400)
    expect((await alice.post('/deals', { name: 'x', pipelineId: gone.id })).body.errors?.[0]?.path).toBe('pipelineId')
  })

  test('a stage of another tenant is none', async () => {
    const { id } = await alice.build('deal')
    const { body } = await house.charlie.get('/pipelines')
    const answer = await alice.post(`/deals/${id}/move`, { stageId: stageOf(body.data[0], 'won') })
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, 'stageId'])
  })
})

describe('the end of a deal', () => {
  test('win, reopen, lose', async () => {
    const { id } = await alice.build('deal', { stageId: stageOf(sales, 'open', 2), probability: 55 })
    const at = `/deals/${id}`
    const won = await alice.post(`${at}/win`)
    expect([won.status, won.headers.get('etag')]).toEqual([200, '"2"'])
    expect(won.body).toMatchObject({ status: 'won', stageId: stageOf(sales, 'won'), version: 2 })
    expect(isNow(won.body.closedAt)).toBe(true)
    const open = await alice.post(`${at}/reopen`, {})
    expect(open.body).toMatchObject({ status: 'open', stageId: stageOf(sales, 'open'), closedAt: null })
    const lost = await alice.post(`${at}/lose`, { reason: ' price ' })
    expect(lost.body).toMatchObject({ status: 'lost', lostReason: 'price', stageId: stageOf(sales, 'lost') })
    expect((await alice.post(`${at}/win`)).body).toMatchObject({ status: 'won', lostReason: null })
    expect((await alice.post(`${at}/lose`)).body).toMatchObject({ status: 'lost', lostReason: null })
  })

  test('what it is already is 422, and nothing changes', async () => {
    const { id } = await alice.build('deal')
    const at = `/deals/${id}`
    for (const [verb, status] of [
      ['reopen', 'open'],
      ['win', 'won'],
      ['lose', 'lost'],
    ]) {
      if (status !== 'open') await alice.post(`${at}/${verb}`)
      const { body: before } = await alice.get(at)
      const again = await alice.post(`${at}/${verb}`)
      expect([verb, again.status, again.body.code]).toEqual([verb, 422, 'INVALID_TRANSITION'])
      expect((await alice.get(at)).body).toEqual(before)
    }
  })

  test('a pipeline without a lost stage cannot lose', async () => {
    const stages = [{ name: 'Open' }, { name: 'Done', kind: 'won' }]
    const { id: pipelineId } = await alice.build('pipeline', { name: 'Optimists', stages })
    const { id } = await alice.build('deal', { pipelineId })
    const answer = await alice.post(`/deals/${id}/lose`)
    expect([answer.status, answer.body.code]).toEqual([422, 'NO_SUCH_STAGE'])
  })

  test('closedAt may be given on create, and belongs to deals that have ended', async () => {
    const closedAt = '2017-03-01T00:00:00.000Z'
    const old = await alice.build('deal', { stageId: stageOf(sales, 'won'), closedAt })
    expect(old.closedAt).toBe(closedAt)
    const lost = await alice.build('deal', { stageId: stageOf(sales, 'lost'), closedAt, lostReason: 'price' })
    expect(lost).toMatchObject({ closedAt, lostReason: 'price' })
    const relost = await alice.post(`/deals/${old.id}/lose`)
    expect(isNow(relost.body.closedAt)).toBe(true)
    const open = await alice.build('deal')
    for (const [body, path] of [
      [{ closedAt }, 'closedAt'],
      [{ lostReason: 'price' }, 'lostReason'],
    ] as const) {
      const made = await alice.post('/deals', { name: 'x', ...body })
      expect([made.status, made.body.errors?.[0]?.path]).toEqual([400, path])
      const changed = await alice.patch(`/deals/${open.id}`, body)
      expect([changed.status, changed.body.errors?.[0]?.path]).toEqual([400, path])
    }
    expect((await alice.get(`/deals/${open.id}`)).body.version).toBe(1)
    const reopened = await alice.patch(`/deals/${lost.id}`, { ...lost, stageId: stageOf(sales, 'open') })
    expect(reopened.body).toMatchObject({ status: 'open', closedAt: null, lostReason: null })
  })

  test('who may not write it may not end it', async () => {
    const { id } = await alice.build('deal')
    for (const verb of ['win', 'lose', 'reopen', 'move']) {
      const body = verb === 'move' ? { stageId: stageOf(sales, 'won') } : {}
      expect([verb, (await house.charlie.post(`/deals/${id}/${verb}`, body)).status]).toEqual([verb, 404])
      expect((await house.nobody.post(`/deals/${id}/${verb}`, body)).status).toBe(401)
      if (verb !== 'reopen')
        expect([verb, (await house.bob.post(`/deals/${id}/${verb}`, body)).status]).toEqual([verb, 403])
    }
    expect((await alice.get(`/deals/${id}`)).body.version).toBe(1)
    await alice.delete(`/deals/${id}`)
    expect((await alice.post(`/deals/${id}/win`)).status).toBe(404)
  })
})

describe('probability', () => {
  test("is its stage's unless set, and goes back there by null", async () => {
    const { id } = await alice.build('deal', { value: 1000 })
    const at = `/deals/${id}`
    expect((await alice.get(at)).body).toMatchObject({ probability: 10, weightedValue: 100 })
    expect((await alice.post(`${at}/move`, { stageId: stageOf(sales, 'open', 1) })).body.probability).toBe(40)
    expect((await alice.patch(at, { probability: 55 })).body).toMatchObject({ probability: 55, weightedValue: 550 })
    expect((await alice.post(`${at}/win`)).body.probability).toBe(55)
    expect((await alice.patch(at, { probability: null })).body.probability).toBe(100)
    for (const probability of [-1, 101, 0.5, '50'])
      expect([probability, (await alice.patch(at, { probability })).status]).toEqual([probability, 400])
    expect((await alice.patch(at, { weightedValue: 1 })).status).toBe(400)
  })
})

describe('the board', () => {
  test("sums the tenant's currency, counts all, and says how many are in others", async () => {
    const dave = await house.found('Boards', 'Dave')
    const { body: pipelines } = await dave.get('/pipelines')
    const [pipeline] = pipelines.data
    const second = stageOf(pipeline, 'open', 1)
    for (const deal of [
      { value: 0.1 },
      { value: 0.2, probability: 50 },
      { value: null },
      { value: 500, currency: 'EUR' },
      { value: 7, currency: 'GBP' },
      { value: 40, stageId: second },
    ])
      await dave.build('deal', deal)
    const archived = await dave.build('deal', { value: 9 })
    const deleted = await dave.build('deal', { value: 9 })
    await dave.post(`/deals/${archived.id}/archive`)
    await dave.delete(`/deals/${deleted.id}`)
    const { body } = await dave.get('/deals/board')
    expect(body.data.map((lane: { stage: { id: string } }) => lane.stage.id)).toEqual(
      pipeline.stages.map((stage: { id: string }) => stage.id),
    )
    expect(body.data[0]).toMatchObject({
      stage: { name: 'Qualified', kind: 'open', probability: 10, order: 1, rottingDays: null },
      count: 5,
      value: 0.3,
      weightedValue: 0.11,
      otherCurrencies: 2,
    })
    expect(body.data[0].cards).toHaveLength(5)
    expect(body.data[1]).toMatchObject({ count: 1, value: 40, weightedValue: 16, otherCurrencies: 0 })
    expect(body.data[2]).toMatchObject({ count: 0, value: 0, weightedValue: 0, otherCurrencies: 0, cards: [] })
  })

  test('shows the first 20 cards in their order', async () => {
    const dave = await house.found('Cards', 'Dave')
    const operations = Array.from({ length: 22 }, (_none, index) => ({
      op: 'create',
      data: { name: `Deal ${index}`, position: 22 - index },
    }))
    const made = await dave.post('/deals/bulk', { operations })
    const namesOf = async () =>
      (await dave.get('/deals/board')).body.data[0].cards.map((card: { name: string }) => card.name)
    const names = await namesOf()
    expect(names).toHaveLength(20)
    expect(names.slice(0, 3)).toEqual(['Deal 21', 'Deal 20', 'Deal 19'])
    const { id, stageId } = made.body.results[0].record
    await dave.post(`/deals/${id}/move`, { stageId, position: 1.5 })
    expect((await namesOf()).slice(0, 3)).toEqual(['Deal 21', 'Deal 0', 'Deal 20'])
  })

  test('holds and sums what the caller may read, and nothing else', async () => {
    const permissions = ['read', 'create'].map((action) => ({ resource: 'deal', action, scope: 'own' }))
    const { id: roleId } = await alice.build('role', { name: 'Own deals', permissions })
    const olive = await house.join('Olive', 'member', { roleId })
    const stageId = stageOf(partners, 'open')
    await alice.build('deal', { stageId, pipelineId: partners.id, value: 4_000_000, currency: 'USD' })
    await alice.build('deal', { stageId, pipelineId: partners.id, value: 1, currency: 'EUR' })
    const mine = await olive.build('deal', { stageId, pipelineId: partners.id, value: 7 })
    const { body } = await olive.get(`/deals/board?pipelineId=${partners.id}`)
    expect(body.data[0]).toMatchObject({ count: 1, value: 7, otherCurrencies: 0, cards: [{ id: mine.id }] })
    expect(body.data[0].cards).toHaveLength(1)
  })

  test('is of one pipeline of the tenant', async () => {
    const { body } = await alice.get(`/deals/board?pipelineId=${partners.id}`)
    expect(body.data.map((lane: { stage: { name: string } }) => lane.stage.name)).toEqual(['Open', 'Won', 'Lost'])
    expect((await house.charlie.get(`/deals/board?pipelineId=${partners.id}`)).status).toBe(404)
    for (const query of ['pipelineId=x', 'pipeline=1', `pipelineId=${partners.id}&pipelineId=${partners.id}`])
      expect([query, (await alice.get(`/deals/board?${query}`)).status]).toEqual([query, 400])
  })
})
