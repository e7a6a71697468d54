import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'

let house: TestApp

beforeAll(async () => {
  house = await startTestApp()
  await house.alice.build('customField', { resource: 'contact', key: 'seats', type: 'number' })
  const scores = [5, 7, 5, 9, null, 7, 5, 1]
  for (const [index, score] of scores.entries()) {
    const customFields = score === null ? {} : { seats: score }
    await house.alice.build('contact', { firstName: `${score}`, lastName: `${index}`, leadScore: score, customFields })
  }
})
afterAll(() => house.stop())

/** A list that is filtered by a number runs by that number, the newest of equals first; every page goes on where the last ended. */
test.each(['leadScore', 'cf.seats'])('a walk through a filter on %s visits each once, in its order', async (member) => {
  const walked = async (query: string) => {
    const names: string[] = []
    let cursor = ''
    do {
      const { status, body } = await house.alice.get(`/contacts?${query}&limit=2${cursor}`)
      expect([query, status]).toEqual([query, 200])
      names.push(...body.data.map(({ name }: { name: string }) => name))
      cursor = body.page.nextCursor ? `&cursor=${body.page.nextCursor}` : ''
    } while (cursor !== '')
    return names
  }
  expect(await walked(`${member}=5`)).toEqual(['5 6', '5 2', '5 0'])
  expect(await walked(`${member}[in]=7,5,1,3`)).toEqual(['7 5', '7 1', '5 6', '5 2', '5 0', '1 7'])
  expect(await walked(`${member}[gte]=7`)).toEqual(['7 1', '7 5', '9 3'])
  expect(await walked(`${member}[in]=5,9&sort=-createdAt`)).toEqual(['5 6', '9 3', '5 2', '5 0'])
  expect(await walked(`${member}[in]=5,9&sort=lastName`)).toEqual(['5 0', '5 2', '9 3', '5 6'])
  expect(await walked(`${member}[gt]=1&${member}[lt]=9&sort=-createdAt`)).toEqual(['5 6', '7 5', '5 2', '7 1', '5 0'])
})
