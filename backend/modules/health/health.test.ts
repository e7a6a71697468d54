import { io } from 'socket.io-client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { eventually } from '../../test/client.ts'

let house: TestApp

beforeAll(async () => {
  house = await startTestApp()
})
afterAll(() => house?.stop())

test('the metrics tell of requests, pools, subscriptions and sockets', async () => {
  expect(await metric('clientforge_sockets')).toBe(0)
  const socket = io(house.url, { path: '/ws', auth: { token: house.alice.token }, transports: ['websocket'] })
  await eventually(async () => (await metric('clientforge_sockets')) === 1, 'the socket in the metrics')
  socket.close()
  await eventually(async () => (await metric('clientforge_sockets')) === 0, 'its end in the metrics')
  const used = await metric('clientforge_pool_connections{pool="app",state="used"}')
  const idle = await metric('clientforge_pool_connections{pool="app",state="idle"}')
  expect((used ?? 0) + (idle ?? 0)).toBeGreaterThan(0)
  expect(await metric('clientforge_parked_events{subscription="search"}')).toBeUndefined()
  expect(await metric('clientforge_subscription_failing{subscription="search",lane="live"}')).toBe(0)
  expect(
    await metric('clientforge_http_request_seconds_count{method="POST",route="/auth/register",status="201"}'),
  ).toBe(2)
})

/** The value of a metric with its labels; undefined when it is not there. */
async function metric(name: string): Promise<number | undefined> {
  const { body } = await house.nobody.get('//metrics')
  const line = String(body)
    .split('\n')
    .find((each) => each.startsWith(`${name} `))
  return line === undefined ? undefined : Number(line.slice(name.length + 1))
}
