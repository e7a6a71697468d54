import { io, type Socket } from 'socket.io-client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { eventually } from '../../test/client.ts'
import { type Process, startProcess } from '../../test/process.ts'

const count = 3_000

let house: TestApp
const others: Process[] = []
const sockets: Socket[] = []

beforeAll(async () => {
  // This process asks; others, which can be killed, do the work.
  house = await startTestApp({ environment: { ROLE: 'web' } })
})
afterAll(async () => {
  for (const socket of sockets) socket.disconnect()
  for (const other of others) other.kill('SIGKILL')
  await Promise.all(others.map(({ ended }) => ended))
  await house?.stop()
})

function startOther(): Process {
  const other = startProcess({
    ROLE: 'all',
    PORT: '0',
    NODE_ENV: 'test',
    DATABASE_URL: house.ownerUrl,
    STORAGE_DIR: house.config.storageDir,
    JWT_SECRET: house.config.jwtSecret,
    DATABASE_POOL: '4',
  })
  others.push(other)
  return other
}

test('a hand-over whose process is killed goes on where it stopped, and no record goes over twice or is lost', {
  timeout: 300_000,
}, async () => {
  const { alice, bob } = house
  const leo = await house.join('Leo', 'member')
  for (let made = 0; made < count; made += 1_000) {
    const operations = Array.from({ length: 1_000 }, (_none, index) => ({
      op: 'create',
      data: { firstName: `No. ${made + index}` },
    }))
    expect((await leo.post('/contacts/bulk', { operations })).status).toBe(200)
  }
  const { body } = await alice.post(`/users/${leo.userId}/deactivate`, { handOverTo: bob.userId })
  expect(body).toMatchObject({ status: 'queued', processed: 0 })
  const reaches = (processed: number) =>
    eventually(async () => {
      const now = (await alice.get(`/hand-overs/${body.id}`)).body
      return now.processed >= processed || now.status === 'completed' ? now : undefined
    }, `${processed} records`)
  const first = startOther()
  const before = await reaches(200)
  first.kill('SIGKILL')
  await first.ended
  expect(before.status).toBe('running')
  startOther()
  const done = await eventually(async () => {
    const now = (await alice.get(`/hand-overs/${body.id}`)).body
    return now.status === 'completed' ? now : undefined
  }, 'the end of the hand-over')
  expect(done).toMatchObject({ total: count, processed: count, moved: { contact: count } })
  const { rows } = await asOwner(house.ownerUrl, (owner) =>
    owner.query(
      'select owner_id, version, count(*)::integer from contacts where tenant_id = $1 group by 1, 2 order by 1, 2',
      [alice.tenantId],
    ),
  )
  expect(rows).toEqual([{ owner_id: bob.userId, version: 2, count }])
})

test('who was online at a process that is killed is offline within seconds', { timeout: 120_000 }, async () => {
  const { alice, bob } = house
  const connect = async (url: string, token: string): Promise<Socket> => {
    const socket = io(url, { path: '/ws', auth: { token }, transports: ['websocket'], reconnection: false })
    sockets.push(socket)
    await new Promise((resolve, reject) => {
      socket.once('connect', () => resolve(undefined))
      socket.once('connect_error', reject)
    })
    return socket
  }
  const heard: { userId: string; online: boolean }[] = []
  const watcher = await connect(house.url, alice.token)
  watcher.on('presence:changed', (body) => heard.push(body))
  expect(await watcher.emitWithAck('subscribe', { type: 'user', id: bob.userId })).toEqual({ ok: true })
  const other = startOther()
  await connect(await other.url, bob.token)
  await eventually(async () => heard.length === 1, 'Bob online')
  other.kill('SIGKILL')
  await other.ended
  await eventually(async () => heard.length === 2, 'Bob offline')
  expect(heard).toMatchObject([
    { userId: bob.userId, online: true },
    { userId: bob.userId, online: false },
  ])
  expect((await alice.get('/presence')).body.data.map(({ userId }: { userId: string }) => userId)).toEqual([
    alice.userId,
  ])
})
