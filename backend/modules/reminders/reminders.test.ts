import { DateTime } from 'luxon'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { task } from '../../entities/tasks/task.entity.ts'
import { createLogger } from '../../kernel/log.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { eventually } from '../../test/client.ts'
import { remind } from './speaker.ts'

let house: TestApp
beforeAll(async () => {
  house = await startTestApp()
})
afterAll(() => house.stop())

interface Reminder {
  readonly kind: string
  readonly at: Date
  readonly said: boolean
}

const planned = (id: string, userId: string) =>
  asOwner(house.ownerUrl, async (owner) => {
    const { rows } = await owner.query<Reminder>(
      'select kind, at, said_at is not null as said from reminders where task_id = $1 and user_id = $2 order by kind',
      [id, userId],
    )
    return rows
  })

const turn = { dryRun: false, signal: new AbortController().signal, log: createLogger('silent') }
const sayDue = () => remind(house.app.database.db, task, turn)

const inbox = async (who: TestApp['bob'], type: string) => {
  const { body } = await who.get(`/notifications?type=${type}`)
  return body.data
}

test('a task is due at nine in the morning where its assignee lives, on both sides of a change of the clock', async () => {
  expect((await house.alice.patch(`/users/${house.bob.userId}`, { timezone: 'Europe/Berlin' })).status).toBe(200)
  const year = new Date().getUTCFullYear() + 1
  for (const day of [`${year}-03-20`, `${year}-04-10`]) {
    const dueAt = DateTime.fromISO(`${day}T15:00`, { zone: 'Europe/Berlin' })
    const made = await house.alice.post('/tasks', {
      title: `Call on ${day}`,
      assigneeIds: [house.bob.userId],
      dueAt: dueAt.toUTC().toISO(),
    })
    const rows = await eventually(async () => {
      const found = await planned(made.body.id, house.bob.userId)
      return found.length === 2 && found
    }, 'it is planned')
    const local = rows.map(({ kind, at }) => [
      kind,
      DateTime.fromJSDate(at).setZone('Europe/Berlin').toFormat('yyyy-MM-dd HH:mm'),
    ])
    expect(local).toEqual([
      ['due', `${day} 09:00`],
      ['overdue', `${day} 15:00`],
    ])
  }
})

test('who moves to another zone is reminded at its morning', async () => {
  const dueAt = DateTime.utc().plus({ days: 30 }).set({ hour: 8, minute: 0, second: 0, millisecond: 0 })
  const made = await house.alice.post('/tasks', {
    title: 'Write',
    assigneeIds: [house.bob.userId],
    dueAt: dueAt.toISO(),
  })
  await eventually(async () => (await planned(made.body.id, house.bob.userId)).length === 2, 'it is planned')
  await house.alice.patch(`/users/${house.bob.userId}`, { timezone: 'Asia/Tokyo' })
  await eventually(async () => {
    const [due] = await planned(made.body.id, house.bob.userId)
    return due !== undefined && DateTime.fromJSDate(due.at).setZone('Asia/Tokyo').toFormat('HH:mm') === '09:00'
  }, 'it is planned anew')
})

test('each assignee is told once that a task is due and that it is overdue; an edit tells nobody again', async () => {
  const made = await house.alice.post('/tasks', {
    title: 'Send the offer',
    assigneeIds: [house.alice.userId, house.bob.userId],
    remindAt: new Date(Date.now() - 60_000).toISOString(),
    dueAt: new Date(Date.now() - 1_000).toISOString(),
  })
  for (const who of [house.alice, house.bob])
    await eventually(async () => (await planned(made.body.id, who.userId)).length === 2, 'it is planned')
  await sayDue()
  for (const who of [house.alice, house.bob])
    for (const type of ['task.due', 'task.overdue'])
      await eventually(
        async () => (await inbox(who, type)).some((entry: { entityId: string }) => entry.entityId === made.body.id),
        type,
      )
  await house.alice.patch(`/tasks/${made.body.id}`, { title: 'Send the offer today' })
  await sayDue()
  const again = (await planned(made.body.id, house.bob.userId)).map(({ said }) => said)
  expect(again).toEqual([true, true])
})

test('a task that is done, handed over or deleted reminds nobody', async () => {
  const dueAt = new Date(Date.now() + 86_400_000 * 40).toISOString()
  const made = await house.alice.post('/tasks', { title: 'Visit', assigneeIds: [house.bob.userId], dueAt })
  await eventually(async () => (await planned(made.body.id, house.bob.userId)).length === 2, 'it is planned')
  await house.alice.patch(`/tasks/${made.body.id}`, { assigneeIds: [house.alice.userId] })
  await eventually(async () => (await planned(made.body.id, house.bob.userId)).length === 0, 'he is off')
  await eventually(async () => (await planned(made.body.id, house.alice.userId)).length === 2, 'she is on')
  await house.alice.post(`/tasks/${made.body.id}/complete`)
  await eventually(async () => (await planned(made.body.id, house.alice.userId)).length === 0, 'it is done')
})
