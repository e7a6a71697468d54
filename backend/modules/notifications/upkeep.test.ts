import { afterAll, beforeAll, expect, test } from 'vitest'
import { contact } from '../../entities/contacts/contact.entity.ts'
import { createLogger } from '../../kernel/log.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { eventually } from '../../test/client.ts'
import { inboxSchedules } from './upkeep.ts'

let house: TestApp
beforeAll(async () => {
  house = await startTestApp()
})
afterAll(() => house.stop())

const run = (name: string, dryRun = false) => {
  const schedule = inboxSchedules(house.app.database.db, new Map([['contact', contact]])).find(
    (each) => each.name === name,
  )
  return schedule?.run({ dryRun, signal: new AbortController().signal, log: createLogger('silent') })
}

const told = async () => {
  await house.alice.post('/tasks', { title: 'Call', assigneeIds: [house.bob.userId] })
  return eventually(async () => {
    const { body } = await house.bob.get('/notifications')
    return body.data[0]
  }, 'he is told')
}

test('a snoozed entry is back when its time has come, and its user’s devices are told', async () => {
  const entry = await told()
  await house.bob.post(`/notifications/${entry.id}/snooze`, { until: new Date(Date.now() + 3_600_000).toISOString() })
  expect((await house.bob.get('/notifications')).body.data).toEqual([])
  await asOwner(house.ownerUrl, (owner) =>
    owner.query("update notifications set snoozed_until = now() - interval '1 second'"),
  )
  expect(await run('notifications.end-snoozes', true)).toEqual({ notifications: 1 })
  await run('notifications.end-snoozes')
  const { rows } = await asOwner(house.ownerUrl, (owner) =>
    owner.query(
      "select record ->> 'snoozedUntil' as until from events where name = 'notification.updated' and record_id = $1 order by seq desc limit 1",
      [entry.id],
    ),
  )
  expect(rows).toEqual([{ until: null }])
  expect((await house.bob.get(`/notifications/${entry.id}`)).body.snoozedUntil).toBeNull()
})

test('of one that is about a contact, whose name may be hidden by now, only which it is', async () => {
  const { id: contactId } = await house.alice.build('contact', { ownerId: house.bob.userId })
  const entry = await eventually(async () => {
    const { data } = (await house.bob.get('/notifications')).body
    return data.find((one: { entityId: string }) => one.entityId === contactId)
  }, 'he is told')
  await house.bob.post(`/notifications/${entry.id}/snooze`, { until: new Date(Date.now() + 3_600_000).toISOString() })
  await asOwner(house.ownerUrl, (owner) =>
    owner.query("update notifications set snoozed_until = now() - interval '1 second' where id = $1", [entry.id]),
  )
  await run('notifications.end-snoozes')
  const { rows } = await asOwner(house.ownerUrl, (owner) =>
    owner.query(
      "select record, data -> 'ids' as ids from events where name = 'notification.updated' and record_id = $1 order by seq desc limit 1",
      [entry.id],
    ),
  )
  expect(rows).toEqual([{ record: null, ids: [entry.id] }])
  await house.bob.delete(`/notifications/${entry.id}`)
})

test('entries that were read long ago are forgotten', async () => {
  await asOwner(house.ownerUrl, (owner) =>
    owner.query("update notifications set created_at = now() - interval '181 days', read_at = now()"),
  )
  expect(await run('notifications.forget-old', true)).toEqual({ notifications: 1 })
  expect(await run('notifications.forget-old')).toEqual({ notifications: 1 })
  expect((await house.bob.get('/notifications')).body.data).toEqual([])
})

test('many old entries go in batches, past those that nobody has read', async () => {
  const entry = await told()
  const copies = `
    insert into notifications (tenant_id, user_id, id, source_id, type, title, message, priority, read_at, created_at)
    select tenant_id, user_id, gen_random_uuid(), gen_random_uuid(), type, title, message, priority,
      case when place % 3 > 0 then now() end, now() - make_interval(days => 200, mins => place)
    from notifications, generate_series(1, 1800) place where id = $1`
  await asOwner(house.ownerUrl, (owner) => owner.query(copies, [entry.id]))
  expect(await run('notifications.forget-old', true)).toEqual({ notifications: 1200 })
  expect(await run('notifications.forget-old')).toEqual({ notifications: 1200 })
  expect(await run('notifications.forget-old', true)).toEqual({ notifications: 0 })
})
