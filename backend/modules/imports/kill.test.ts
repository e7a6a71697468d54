import { afterAll, beforeAll, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { eventually } from '../../test/client.ts'
import { type Process, startProcess } from '../../test/process.ts'
import { sendTable } from '../../test/tables.ts'

const count = 1_500

let house: TestApp
const workers: Process[] = []

beforeAll(async () => {
  // This process asks; others, which can be killed, do the work.
  house = await startTestApp({ environment: { ROLE: 'web' } })
})
afterAll(async () => {
  for (const worker of workers) worker.kill('SIGKILL')
  await Promise.all(workers.map(({ ended }) => ended))
  await house?.stop()
})

function startWorker(): Process {
  const { storageDir } = house.config
  const worker = startProcess({
    ROLE: 'worker',
    PORT: '0',
    NODE_ENV: 'test',
    DATABASE_URL: house.ownerUrl,
    STORAGE_DIR: storageDir,
    DATABASE_POOL: '4',
  })
  workers.push(worker)
  return worker
}

test('rights are those of the run: who was deactivated since imports nothing', async () => {
  const { alice, bob } = house
  const { body } = await sendTable(bob, 'firstName\nNobody\n', { resource: 'contacts' })
  expect((await alice.patch(`/users/${bob.userId}`, { active: false })).status).toBe(200)
  const worker = startWorker()
  const failed = await eventually(async () => {
    const now = (await alice.get(`/imports/${body.id}`)).body
    return now.status === 'failed' ? now : undefined
  }, 'the failure')
  expect(failed).toMatchObject({ created: 0, failure: 'Who asked for it is no longer an active user' })
  worker.kill('SIGKILL')
  await worker.ended
})

test('an import whose process is killed goes on where it stopped, and no row comes twice', {
  timeout: 300_000,
}, async () => {
  const { alice } = house
  const rows = Array.from(
    { length: count },
    (_none, index) => `Row ${index},${index % 3 === 0 ? `Maker ${index % 9}` : ''}`,
  )
  const asked = {
    resource: 'contacts',
    mapping: { name: 'lastName', maker: 'company.name' },
    createMissing: ['company'],
  }
  const { body } = await sendTable(alice, `name,maker\n${rows.join('\n')}\n`, asked)
  const state = async () => (await alice.get(`/imports/${body.id}`)).body
  const reaches = (processed: number) =>
    eventually(async () => {
      const now = await state()
      return now.processed >= processed || now.status === 'failed' ? now : undefined
    }, `${processed} rows`)
  for (const stop of [100, 600]) {
    const worker = startWorker()
    await reaches(stop)
    worker.kill('SIGKILL')
    await worker.ended
    expect(await state()).toMatchObject({ status: 'running' })
  }
  startWorker()
  // The queue takes a job from a dead process only when its lock has run out.
  for (let done = 600; done < count; done += 100) await reaches(done)
  const done = await eventually(async () => {
    const now = await state()
    return now.status === 'running' ? undefined : now
  }, 'the end of the import')
  expect(done).toMatchObject({
    status: 'completed',
    total: count,
    processed: count,
    created: count,
    failed: 0,
    made: { company: 3 },
  })
  await eventually(async () => (await alice.get('/notifications')).body.data.length > 0, 'the notification')
  const rowsOf = (text: string) => asOwner(house.ownerUrl, async (owner) => (await owner.query(text)).rows)
  expect(
    await rowsOf(
      "select count(*)::integer as all, count(distinct last_name)::integer as names from contacts where last_name like 'Row %'",
    ),
  ).toEqual([{ all: count, names: count }])
  expect(await rowsOf("select count(*)::integer as count from companies where name like 'Maker %'")).toEqual([
    { count: 3 },
  ])
  expect(await rowsOf("select count(*)::integer as count from events where name = 'contact.created'")).toEqual([
    { count },
  ])
  expect(await rowsOf('select type, count(*)::integer as count from notifications group by 1')).toEqual([
    { type: 'import.completed', count: 1 },
  ])
})
