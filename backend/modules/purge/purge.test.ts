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
  const shares = [{ userId: house.bob.userId, access: 'read' }]
  for (const { id } of [old, young]) {
    await house.alice.put(`/contacts/${id}/shares`, { shares })
    await house.alice.delete(`/contacts/${id}`)
  }
  await asOwner(house.ownerUrl, (owner) =>
    owner.query("update contacts set deleted_at = now() - interval '31 days' where id = $1", [old.id]),
  )
  const [schedule] = purgeModule({ db: house.app.database.db, entities: [contact] }).schedules ?? []
  const turn = { signal: new AbortController().signal, log: createLogger('silent') }
  expect(await schedule?.run({ ...turn, dryRun: true })).toEqual({ contacts: 1, merges: 0 })
  expect(await schedule?.run({ ...turn, dryRun: false })).toEqual({ contacts: 1, merges: 0 })
  expect((await house.alice.post(`/contacts/${old.id}/restore`)).status).toBe(404)
  expect((await house.alice.post(`/contacts/${young.id}/restore`)).status).toBe(200)
  const { rows } = await asOwner(house.ownerUrl, (owner) =>
    owner.query(
      'select record_id from record_tags where record_id = $1 union all select record_id from record_shares where record_id = any($2)',
      [old.id, [old.id, young.id]],
    ),
  )
  expect(rows).toEqual([{ record_id: young.id }])
})

test('what a merge kept goes with the records that it merged, and their ids lead to the survivor as long as that is there', async () => {
  const merged = async () => {
    const [survivor, other] = [await house.alice.build('contact'), await house.alice.build('contact')]
    await house.alice.post(`/contacts/${survivor.id}/merge`, { fromIds: [other.id] })
    return [survivor.id, other.id]
  }
  const [survivor, other] = await merged()
  const [young, younger] = await merged()
  const age = (table: string, column: string, where: string, id: string | undefined) =>
    asOwner(house.ownerUrl, (owner) =>
      owner.query(`update ${table} set ${column} = now() - interval '31 days' where ${where} = $1`, [id]),
    )
  await age('contacts', 'deleted_at', 'id', other)
  await age('merges', 'merged_at', 'survivor_id', survivor)
  const [schedule] = purgeModule({ db: house.app.database.db, entities: [contact] }).schedules ?? []
  const turn = { signal: new AbortController().signal, log: createLogger('silent') }
  expect(await schedule?.run({ ...turn, dryRun: true })).toEqual({ contacts: 1, merges: 1 })
  expect(await schedule?.run({ ...turn, dryRun: false })).toEqual({ contacts: 1, merges: 1 })
  expect((await house.alice.get(`/contacts/${other}`)).status).toBe(307)
  const late = await house.alice.post(`/contacts/${survivor}/unmerge`, { ids: [other] })
  expect([late.status, late.body.code]).toEqual([422, 'MERGE_EXPIRED'])
  expect((await house.alice.post(`/contacts/${young}/unmerge`, { ids: [younger] })).status).toBe(200)
  await house.alice.delete(`/contacts/${survivor}`)
  await age('contacts', 'deleted_at', 'id', survivor)
  expect(await schedule?.run({ ...turn, dryRun: false })).toEqual({ contacts: 1, merges: 0 })
  const { rows } = await asOwner(house.ownerUrl, (owner) =>
    owner.query('select from record_aliases where id = $1', [other]),
  )
  expect(rows).toEqual([])
})
