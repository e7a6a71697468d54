import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { eventually } from '../../test/client.ts'
import { createLogger } from '../log.ts'

const lines: Record<string, unknown>[] = []
let house: TestApp

beforeAll(async () => {
  house = await startTestApp({ log: createLogger('info', { write: (line) => void lines.push(JSON.parse(line)) }) })
})
afterAll(() => house.stop())

test('a request is one line: its id, path and status, and nothing of what was asked or sent', async () => {
  await house.alice.get('/contacts?lastName=Lovelace', { 'X-Request-Id': 'seen-again' })
  const line = await eventually(async () => lines.find(({ requestId }) => requestId === 'seen-again'), 'its line')
  expect(line).toMatchObject({
    level: 30,
    method: 'GET',
    url: '/api/v1/contacts',
    status: 200,
    msg: 'request completed',
  })
  expect(line.milliseconds).toEqual(expect.any(Number))
  expect(JSON.stringify(lines)).not.toMatch(/Lovelace|eyJ|horse/)
})

test('health and metrics are asked too often to be told', async () => {
  await house.alice.get('//health/live', { 'X-Request-Id': 'not-told' })
  await house.alice.get('/contacts', { 'X-Request-Id': 'told' })
  await eventually(async () => lines.find(({ requestId }) => requestId === 'told'), 'the line of the next request')
  expect(lines.filter(({ requestId }) => requestId === 'not-told')).toEqual([])
})
