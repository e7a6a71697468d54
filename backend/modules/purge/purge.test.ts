import { afterAll, beforeAll, expect, test } from 'vitest'
import { contact } from '../../entities/contacts/contact.entity.ts'
import { createLogger } from '../../kernel/log.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { purgeModule } from './purge.module.ts'

let house: TestApp
beforeAll(async () => {
  house = await startTestApp()
})
afterAll(() => house.stop())

test('a deleted record can be restored for thirty days, then it is gone with all that hung on it', async () => {
  const [old, young] = [await house.alice.build('contact', { tags: ['vip'] }), await house.alice.build('contact')]
  for (const { id } of [old, young]) await house.alice.delete(`/contacts/${id}`)
  await asOwner(house.ownerUrl, (owner) =>
    owner.query("update contacts set deleted_at = now() - interval '31 days' where id = $1", [old.id]),
  )
  const [schedule] = purgeModule({ db: house.app.database.db, entities: [contact] }).schedules ?? []
  const turn = { signal: new AbortController().signal, log: createLogger('silent') }
  expect(await schedule?.run({ ...turn, dryRun: true })).toEqual({ contacts: 1 })
  expect(await schedule?.run({ ...turn, dryRun: false })).toEqual({ contacts: 1 })
  expect((await house.alice.post(`/contacts/${old.id}/restore`)).status).toBe(404)
  expect((await house.alice.post(`/contacts/${young.id}/restore`)).status).toBe(200)
  const { rows } = await asOwner(house.ownerUrl, (owner) =>
    owner.query('select from record_tags where record_id = $1', [old.id]),
  )
  expect(rows).toEqual([])
})
