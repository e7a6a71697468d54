import { io } from 'socket.io-client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, createClient } from '../../test/client.ts'

let house: TestApp

beforeAll(async () => {
  house = await startTestApp({ environment: { TRUST_PROXY: '1' } })
})
afterAll(() => house.stop())

test('allowed addresses look past the trusted proxy, for requests and sockets alike', async () => {
  const program = await keyWith(['contact:read'], { allowedAddresses: ['203.0.113.0/24'] })
  const from = (address: string) => ({ 'x-forwarded-for': address })
  expect((await program.get('/contacts', from('203.0.113.7'))).status).toBe(200)
  expect((await program.get('/contacts', from('203.0.113.7, 198.51.100.1'))).status).toBe(401)
  expect((await program.get('/contacts')).status).toBe(401)
  expect(await connects(program, from('203.0.113.7'))).toBe(true)
  expect(await connects(program, from('203.0.113.7, 198.51.100.1'))).toBe(false)
  expect(await connects(program, {})).toBe(false)
})

async function keyWith(scopes: string[], more: Record<string, unknown> = {}): Promise<Client> {
  const { body } = await house.alice.post('/api-keys', { name: 'Sync', scopes, ...more })
  return createClient(house.url, {
    user: { id: '', email: '' },
    tenant: null,
    accessToken: body.key,
    refreshToken: '',
  })
}

function connects({ url, token }: Client, extraHeaders: Record<string, string>): Promise<boolean> {
  const socket = io(url, { path: '/ws', auth: { token }, transports: ['websocket'], reconnection: false, extraHeaders })
  return new Promise((resolve) => {
    const tell = (connected: boolean) => () => {
      socket.disconnect()
      resolve(connected)
    }
    socket.once('connect', tell(true))
    socket.once('connect_error', tell(false))
  })
}
