import { io, type Socket } from 'socket.io-client'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, createClient, eventually } from '../../test/client.ts'

let house: TestApp
const open: Socket[] = []

beforeAll(async () => {
  house = await startTestApp()
})
afterEach(async () => {
  for (const socket of open.splice(0)) socket.disconnect()
  await eventually(async () => (await online(house.alice)).length === 0, 'the end of everybody')
})
afterAll(() => house.stop())

const online = async (who: Client): Promise<string[]> =>
  (await who.get('/presence')).body.data.map(({ userId }: { userId: string }) => userId)

interface Listener {
  readonly socket: Socket
  readonly heard: { userId: string; online: boolean; eventId: string }[]
}

async function connect(url: string, token: string, follows?: object): Promise<Listener> {
  const socket = io(url, {
    path: '/ws',
    auth: { token },
    transports: ['websocket'],
    reconnection: false,
    forceNew: true,
  })
  open.push(socket)
  const heard: Listener['heard'] = []
  socket.on('presence:changed', (body) => heard.push(body))
  await new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(undefined))
    socket.once('connect_error', reject)
  })
  if (follows) expect(await socket.emitWithAck('subscribe', follows)).toEqual({ ok: true })
  return { socket, heard }
}

const hears = (listener: Listener, userId: string, state: boolean, count = 1) =>
  eventually(
    async () => listener.heard.filter((each) => each.userId === userId && each.online === state).length >= count,
    `${userId} ${state ? 'online' : 'offline'}`,
  )

test('who connects is online for his tenant, in every process, until his last socket is gone', async () => {
  const { alice, bob, charlie } = house
  const other = await house.another()
  const watcher = await connect(house.url, alice.token, { type: 'user' })
  const foreign = await connect(house.url, charlie.token, { type: 'user' })
  const [here, there] = [await connect(house.url, bob.token), await connect(other.url, bob.token)]
  await hears(watcher, bob.userId, true)
  await eventually(async () => (await online(alice)).length === 2, 'both online')
  const far = await createClient(other.url, {
    user: { id: alice.userId, email: alice.email },
    tenant: { id: alice.tenantId },
    accessToken: alice.token,
    refreshToken: '',
  })
  expect((await online(far)).toSorted()).toEqual([alice.userId, bob.userId].toSorted())
  expect(await online(charlie)).toEqual([charlie.userId])
  const first = (await alice.get('/presence?limit=1')).body
  const second = (await alice.get(`/presence?limit=1&cursor=${first.page.nextCursor}`)).body
  expect([first.data[0].userId, second.data[0].userId]).toEqual([alice.userId, bob.userId].toSorted())
  here.socket.disconnect()
  // What happens to another tells that there was time for it.
  const dora = await house.join('Dora', 'member')
  const doras = await connect(house.url, dora.token)
  await hears(watcher, dora.userId, true)
  doras.socket.disconnect()
  await hears(watcher, dora.userId, false)
  expect(watcher.heard.filter(({ userId }) => userId === bob.userId)).toMatchObject([{ online: true }])
  there.socket.disconnect()
  await hears(watcher, bob.userId, false)
  expect(await online(alice)).toEqual([alice.userId])
  expect(foreign.heard.every(({ userId }) => userId === charlie.userId)).toBe(true)
})

test('who loads his page anew was never away', async () => {
  const { alice, bob } = house
  const watcher = await connect(house.url, alice.token, { type: 'user', id: bob.userId })
  const before = await connect(house.url, bob.token)
  await hears(watcher, bob.userId, true)
  before.socket.disconnect()
  const after = await connect(house.url, bob.token)
  after.socket.disconnect()
  await hears(watcher, bob.userId, false)
  expect(watcher.heard.map((each) => each.online)).toEqual([true, false])
})

test('a process that died takes its people with it, and who was at another too stays', async () => {
  const { alice, bob } = house
  const dora = await house.join('Dora', 'member')
  const watcher = await connect(house.url, alice.token, { type: 'user' })
  await connect(house.url, bob.token)
  await hears(watcher, bob.userId, true)
  const dead = '01920000-0000-7000-8000-00000000dead'
  await asOwner(house.ownerUrl, async (owner) => {
    await owner.query(`insert into live_processes (id) values ($1)`, [dead])
    for (const userId of [bob.userId, dora.userId])
      await owner.query(`insert into presences (tenant_id, user_id, process_id) values ($1, $2, $3)`, [
        alice.tenantId,
        userId,
        dead,
      ])
    // More than are taken out at once.
    await owner.query(
      `insert into presences (tenant_id, user_id, process_id) select $1, gen_random_uuid(), $2 from generate_series(1, 1100)`,
      [alice.tenantId, dead],
    )
  })
  expect(await online(alice)).toContain(dora.userId)
  await hears(watcher, dora.userId, false)
  expect(await online(alice)).not.toContain(dora.userId)
  expect(await online(alice)).toContain(bob.userId)
  expect(watcher.heard.filter(({ userId }) => userId === bob.userId)).toMatchObject([{ online: true }])
  await eventually(async () => {
    const { rows } = await asOwner(house.ownerUrl, (owner) =>
      owner.query('select from presences where process_id = $1', [dead]),
    )
    return rows.length === 0
  }, 'the end of all who were there')
})

test('a process that was taken for dead brings its people back', async () => {
  const { alice, bob } = house
  const watcher = await connect(house.url, alice.token, { type: 'user' })
  await connect(house.url, bob.token)
  await hears(watcher, bob.userId, true)
  await asOwner(house.ownerUrl, (owner) => owner.query('delete from live_processes; delete from presences'))
  await eventually(async () => (await online(alice)).includes(bob.userId), 'Bob online again')
})

test('an operator in a user’s name is not the user, and nobody else is asked', async () => {
  const { alice, bob } = house
  const olga = await house.operator()
  const watcher = await connect(house.url, alice.token, { type: 'user' })
  await hears(watcher, alice.userId, true)
  const reason = 'Ticket 7'
  const visit = await olga.post(`/admin/tenants/${alice.tenantId}/impersonate`, { userId: bob.userId, reason })
  await connect(house.url, visit.body.accessToken)
  const dora = await house.join('Dora', 'member')
  await connect(house.url, dora.token)
  await hears(watcher, dora.userId, true)
  expect(await online(alice)).not.toContain(bob.userId)
  expect((await house.nobody.get('/presence')).status).toBe(401)
  expect((await alice.get('/presence?cursor=x')).status).toBe(400)
})
