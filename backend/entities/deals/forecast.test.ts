import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'

let house: TestApp
let alice: Client
let bob: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob } = house)
})
afterAll(() => house.stop())

const stageOf = async (who: Client, name: string): Promise<string> => {
  const [pipeline] = (await who.get('/pipelines?isDefault=true')).body.data
  return pipeline.stages.find((stage: { name: string }) => stage.name === name).id
}
const forecast = async (who: Client, query: string) => {
  const answer = await who.get(`/deals/forecast?${query}`)
  expect([query, answer.status]).toEqual([query, 200])
  return answer.body
}

describe('the forecast', () => {
  test('is by month what open deals are to bring, what won ones brought, and the target', async () => {
    const dave = await house.found('Months', 'Dave')
    const won = await stageOf(dave, 'Won')
    const lost = await stageOf(dave, 'Lost')
    const march = { expectedCloseDate: '2027-03-31' }
    for (const deal of [
      { value: 1000, ...march },
      { value: 0.1, probability: 50, ...march },
      { value: null, ...march },
      { value: 70, expectedCloseDate: '2027-05-01' },
      { value: 5000, expectedCloseDate: '2027-07-01' },
      { value: 9 },
      { value: 400, stageId: won, closedAt: '2027-03-01T00:00:00.000Z', expectedCloseDate: '2027-05-01' },
      { value: 100, stageId: won, closedAt: '2027-02-28T23:59:59.999Z' },
      { value: 800, stageId: lost, closedAt: '2027-03-05T00:00:00.000Z', ...march },
    ])
      await dave.build('deal', deal)
    const gone = await dave.build('deal', { value: 5, ...march })
    const archived = await dave.build('deal', { value: 5, ...march })
    await dave.delete(`/deals/${gone.id}`)
    await dave.post(`/deals/${archived.id}/archive`)
    await dave.build('target', { period: '2027-03', amount: 1600 })
    await dave.build('target', { period: '2027-04', amount: 0 })
    await dave.build('target', { period: '2027-03', amount: 7, userId: dave.userId })
    const row = {
      count: 0,
      value: 0,
      weightedValue: 0,
      wonCount: 0,
      wonValue: 0,
      target: null,
      attainment: null,
      currency: 'USD',
    }
    expect(await forecast(dave, 'from=2027-02&to=2027-05')).toEqual({
      from: '2027-02-01',
      to: '2027-05-31',
      groupBy: 'month',
      data: [
        { ...row, period: '2027-02', wonCount: 1, wonValue: 100 },
        {
          ...row,
          period: '2027-03',
          count: 3,
          value: 1000.1,
          weightedValue: 100.05,
          wonCount: 1,
          wonValue: 400,
          target: 1600,
          attainment: 0.25,
        },
        { ...row, period: '2027-04', target: 0 },
        { ...row, period: '2027-05', count: 1, value: 70, weightedValue: 7 },
      ],
      unconverted: [],
    })
    const days = await forecast(dave, 'from=2027-03-02&to=2027-03-30')
    expect(days.data).toMatchObject([{ period: '2027-03', count: 0, wonCount: 0, target: 1600, attainment: 0 }])
  })

  test("runs by the months of the tenant's time zone", async () => {
    const dave = await house.found('Zones', 'Dave')
    await asOwner(house.ownerUrl, (client) =>
      client.query("update tenants set timezone = 'Pacific/Auckland' where id = $1", [dave.tenantId]),
    )
    const stageId = await stageOf(dave, 'Won')
    for (const closedAt of ['2027-02-28T10:59:59.999Z', '2027-02-28T11:00:00.000Z', '2027-03-31T10:59:59.999Z'])
      await dave.build('deal', { value: 1, stageId, closedAt })
    const { data } = await forecast(dave, 'from=2027-02&to=2027-04')
    expect(data.map((row: { wonCount: number }) => row.wonCount)).toEqual([1, 2, 0])
  })

  test('is of owners, teams and pipelines, each against their own target', async () => {
    const team = await alice.build('team', { name: 'North' })
    const rita = await house.join('Rita', 'member', { teamId: team.id })
    const stageId = await stageOf(alice, 'Won')
    const june = { expectedCloseDate: '2027-06-10' }
    const other = await alice.build('pipeline', { name: 'Renewals' })
    await alice.build('deal', { value: 10, ownerId: alice.userId, ...june })
    await alice.build('deal', { value: 20, ownerId: rita.userId, ...june })
    await alice.build('deal', { value: 40, ownerId: null, ...june })
    await alice.build('deal', { value: 80, ownerId: rita.userId, pipelineId: other.id, ...june })
    await alice.build('deal', { value: 160, ownerId: rita.userId, stageId, closedAt: '2027-06-30T12:00:00Z' })
    await alice.build('target', { period: '2027-06', amount: 200, userId: rita.userId })
    await alice.build('target', { period: '2027-06', amount: 320, teamId: team.id })
    await alice.build('target', { period: '2027-06', amount: 50, userId: bob.userId })
    await alice.build('target', { period: '2027-06', amount: 1000 })
    const span = 'from=2027-06&to=2027-06'
    const values = (rows: { owner?: { name: string }; team?: { name: string } }[]) =>
      rows.map(({ owner, team, ...row }) => ({ name: (owner ?? team)?.name ?? null, ...row }))
    expect(values((await forecast(alice, `${span}&groupBy=owner`)).data)).toMatchObject([
      { name: 'Alice', value: 10, target: null },
      { name: 'Bob', value: 0, count: 0, target: 50, attainment: 0 },
      { name: 'Rita', value: 100, wonValue: 160, target: 200, attainment: 0.8 },
      { name: null, value: 40, target: null },
    ])
    expect(values((await forecast(bob, `${span}&groupBy=team`)).data)).toMatchObject([
      { name: 'North', value: 100, wonValue: 160, target: 320, attainment: 0.5 },
      { name: null, value: 50, target: null },
    ])
    const one = async (query: string) => (await forecast(alice, `${span}&${query}`)).data
    expect(await one('')).toMatchObject([{ value: 150, wonValue: 160, target: 1000, attainment: 0.16 }])
    expect(await one(`ownerId=${rita.userId}`)).toMatchObject([{ value: 100, target: 200 }])
    expect(await one(`teamId=${team.id}`)).toMatchObject([{ value: 100, target: 320 }])
    expect(await one(`teamId=${team.id}&groupBy=owner`)).toMatchObject([{ value: 100, target: 200 }])
    expect(await one(`pipelineId=${other.id}`)).toMatchObject([{ value: 80, wonValue: 0, target: null }])
    expect((await forecast(house.charlie, span)).data).toMatchObject([{ count: 0, wonCount: 0, target: null }])
    expect((await forecast(rita, `${span}&ownerId=me`)).data).toEqual(await one(`ownerId=${rita.userId}`))
    expect((await alice.delete(`/users/${rita.userId}`)).status).toBe(204)
    expect(await one(`ownerId=${rita.userId}`)).toMatchObject([{ value: 100 }])
    const foreign = await house.charlie.build('team', { name: 'North' })
    const [theirs] = (await house.charlie.get('/pipelines')).body.data
    for (const [query, path] of [
      [`ownerId=${house.charlie.userId}`, 'ownerId'],
      [`teamId=${foreign.id}`, 'teamId'],
      [`pipelineId=${theirs.id}&ownerId=me`, 'pipelineId'],
      ['teamId=me', 'teamId'],
    ] as const) {
      const answer = await alice.get(`/deals/forecast?${span}&${query}`)
      expect([query, answer.status, answer.body.errors?.map((error: { path: string }) => error.path)]).toEqual([
        query,
        400,
        [path],
      ])
    }
  })

  test('converts by the rate of the day, and tells what no rate could', async () => {
    const dave = await house.found('Rates', 'Dave')
    const stageId = await stageOf(dave, 'Won')
    for (const [validFrom, rate] of [
      ['2027-01-01', 1.25],
      ['2027-02-15', 1.5],
    ] as const)
      await dave.build('exchangeRate', { currency: 'EUR', rate, validFrom })
    await dave.build('exchangeRate', { currency: 'JPY', rate: 0.0066, validFrom: '2027-01-01' })
    for (const deal of [
      { value: 100, currency: 'EUR', expectedCloseDate: '2027-02-14' },
      { value: 100, currency: 'EUR', expectedCloseDate: '2027-02-15', probability: 50 },
      { value: 1000, currency: 'JPY', expectedCloseDate: '2027-02-28' },
      { value: 3, expectedCloseDate: '2027-02-01' },
      { value: 7, currency: 'GBP', expectedCloseDate: '2027-02-01' },
      { value: null, currency: 'CHF', expectedCloseDate: '2027-02-01' },
      { value: 10, currency: 'EUR', stageId, closedAt: '2026-12-31T12:00:00Z' },
      { value: 10, currency: 'EUR', stageId, closedAt: '2027-01-31T12:00:00Z' },
    ])
      await dave.build('deal', deal)
    await dave.build('target', { period: '2027-02', amount: 100, currency: 'EUR' })
    await dave.build('target', { period: '2026-12', amount: 100, currency: 'EUR' })
    const { data, unconverted } = await forecast(dave, 'from=2026-12&to=2027-02')
    expect(data).toMatchObject([
      { wonCount: 1, wonValue: 0, target: null },
      { wonCount: 1, wonValue: 12.5, target: null },
      { count: 6, value: 284.6, weightedValue: 88.46, target: 125 },
    ])
    expect(unconverted).toEqual([
      { currency: 'EUR', count: 1, value: 10 },
      { currency: 'GBP', count: 1, value: 7 },
    ])
    const [rate] = (await dave.get('/exchange-rates?currency=JPY')).body.data
    await dave.patch(`/exchange-rates/${rate.id}`, { rate: 0.01 })
    expect((await forecast(dave, 'from=2027-02&to=2027-02')).data[0].value).toBe(288)
    await dave.delete(`/exchange-rates/${rate.id}`)
    expect((await forecast(dave, 'from=2027-02&to=2027-02')).unconverted).toHaveLength(2)
  })

  test('looks twelve months ahead unless said, and at most 24', async () => {
    const now = new Date().toISOString().slice(0, 7)
    const usual = await forecast(alice, '')
    expect([usual.from, usual.data.length, usual.data[0].period]).toEqual([`${now}-01`, 12, now])
    expect((await forecast(alice, 'from=2027-01')).to).toBe('2027-12-31')
    expect((await forecast(alice, 'to=2020-02')).from).toBe('2020-02-01')
    expect((await forecast(alice, 'from=2024-02&to=2024-02')).to).toBe('2024-02-29')
    expect((await forecast(alice, 'from=2025-01&to=2026-12')).data).toHaveLength(24)
    for (const [query, path] of [
      ['from=2025-01&to=2027-01', 'to'],
      ['from=2026-13', 'from'],
      ['to=2026-02-30', 'to'],
      ['from=0000-01', 'from'],
      ['from=tomorrow', 'from'],
      ['from=2026-02&to=2026-01', 'to'],
      ['groupBy=week', 'groupBy'],
      ['ownerId=x', 'ownerId'],
      ['stageId=x', 'stageId'],
    ] as const) {
      const answer = await alice.get(`/deals/forecast?${query}`)
      expect([query, answer.status, answer.body.errors?.[0]?.path]).toEqual([query, 400, path])
    }
    expect((await house.nobody.get('/deals/forecast')).status).toBe(401)
  })
})
