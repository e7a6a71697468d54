import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from './app.ts'

let house: TestApp

beforeAll(async () => {
  house = await startTestApp()
})
afterAll(() => house.stop())

test('a change reaches the timeline', async () => {
  const deal = await house.alice.build('deal')
  await house.alice.post(`/deals/${deal.id}/win`)
  const activities = await house.alice.timeline('deal', deal.id, 2)
  expect(activities.map((activity) => activity.action)).toEqual(['created', 'updated'])
})

test('Charlie cannot win a deal of Alice', async () => {
  const deal = await house.alice.build('deal')
  expect((await house.charlie.post(`/deals/${deal.id}/win`)).status).toBe(404)
})
