import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLogger } from '../../kernel/log.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { monthSchedules } from './months.ts'

let house: TestApp
beforeAll(async () => {
  house = await startTestApp()
})
afterAll(() => house.stop())

const owner = (text: string) => asOwner(house.ownerUrl, async (client) => void (await client.query(text)))

const run = async (name: string, keepMonths: number | undefined, dryRun: boolean) => {
  const schedule = monthSchedules(house.app.database.db, keepMonths).find((each) => each.name === name)
  return (await schedule?.run({ dryRun, signal: new AbortController().signal, log: createLogger('silent') }))?.months
}

/** A month of the timeline or a day of the log, as each was made when its time had come. */
const part = (table: string, name: string, from: string, until: string) => `
  create table ${name} (like ${table} including all);
  alter table ${table} attach partition ${name} for values from ('${from}Z') to ('${until}Z');`

test('history is kept for ever, or whole months of it go when they are older than the operator said', async () => {
  const deal = await house.alice.build('deal')
  const [activity] = await house.alice.timeline('deal', deal.id, 1)
  for (const month of ['01', '02', '03'])
    await owner(
      part('activities', `activities_2020${month}`, `2020-${month}-01 00:00`, `2020-0${Number(month) + 1}-01 00:00`),
    )
  await owner(`update activities set occurred_at = '2020-01-15 12:00Z' where id = '${activity?.id}'`)
  await owner(part('events', 'events_20200310', '2020-03-10 00:00', '2020-03-11 00:00'))

  expect(await run('timeline.drop-months', undefined, false)).toBe(0)
  expect(await run('timeline.drop-months', 1, true)).toBe(2)
  expect(await house.alice.timeline('deal', deal.id, 1)).toHaveLength(1)
  expect(await run('timeline.drop-months', 1, false)).toBe(2)
  expect((await house.alice.get(`/timeline/deal/${deal.id}`)).body.data).toEqual([])
  // The log still has a day of March: what happened then may have to be told yet.
  await owner('drop table events_20200310')
  expect(await run('timeline.drop-months', 1, true)).toBe(1)
  expect(await run('timeline.drop-months', 1, false)).toBe(1)
  const kept = await house.alice.build('deal')
  expect(await house.alice.timeline('deal', kept.id, 1)).toHaveLength(1)
})

test('the months that are missing are counted before they are made', async () => {
  const ahead = new Date()
  ahead.setUTCMonth(ahead.getUTCMonth() + 2, 1)
  await owner(`drop table activities_${ahead.toISOString().slice(0, 7).replace('-', '')}`)
  expect(await run('timeline.make-months', undefined, true)).toBe(1)
  expect(await run('timeline.make-months', undefined, false)).toBe(1)
  expect(await run('timeline.make-months', undefined, true)).toBe(0)
})

test('only the worker may drop months', async () => {
  const { db } = house.app.database
  for (const call of [
    'drop_activity_partition(1)',
    'droppable_activity_partitions(1)',
    'droppable_event_partitions(1)',
  ])
    await expect(db.anonymous({ text: `select ${call}`, values: [] })).rejects.toMatchObject({ code: '42501' })
})
