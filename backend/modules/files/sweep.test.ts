import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'
import { exportTable, importTable } from '../../test/tables.ts'

let house: TestApp
let olga: Client
beforeAll(async () => {
  house = await startTestApp()
  olga = await house.operator()
})
afterAll(() => house.stop())

const folder = () => join(house.config.storageDir, 'files')
const days = (count: number): Date => new Date(Date.now() - count * 86_400_000)

async function write(key: string, age: Date): Promise<void> {
  const path = join(folder(), key)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, 'x')
  await utimes(path, age, age)
}

/** Every file of the store, as a path below it. */
async function stored(): Promise<string[]> {
  const entries = await readdir(folder(), { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(folder().length + 1)
        .replaceAll('\\', '/'),
    )
}

const wouldGo = async () => (await olga.post('/admin/jobs/schedules/files.sweep/run', { dryRun: true })).body.counts

test('drafts and files that stand in no books go after a day; what is young, known or not ours stays', async () => {
  await importTable(house.alice, 'First name\nAda\n', { resource: 'contacts' })
  await exportTable(house.alice, { resource: 'contacts', format: 'csv' })
  const known = await stored()
  expect(known).toHaveLength(2)
  for (const key of known) await utimes(join(folder(), key), days(3), days(3))
  expect(await wouldGo()).toEqual({ drafts: 0, orphans: 0 })

  const mine = `imports/${house.alice.tenantId}`
  const old = [`${mine}/killed.csv.0123456789ab~`, `${mine}/orphan.csv`, `exports/${house.alice.tenantId}/orphan.xlsx`]
  const young = [`${mine}/writing.csv.ba9876543210~`, `${mine}/asking.csv`]
  for (const key of old) await write(key, days(2))
  for (const key of young) await write(key, new Date())
  const foreign = ['backups/somebody.else', 'imports/Not A Key.csv']
  for (const key of foreign) await write(key, days(400))
  expect(await wouldGo()).toEqual({ drafts: 1, orphans: 2 })
  expect(await stored()).toEqual(expect.arrayContaining([...known, ...old, ...young]))

  await olga.post('/admin/jobs/schedules/files.sweep/run')
  const left = [...known, ...young, ...foreign].toSorted()
  await eventually(async () => (await stored()).length === left.length, 'what nobody needs is gone')
  expect((await stored()).toSorted()).toEqual(left)
})

test('the file of an export that is being made again is nobody’s orphan', async () => {
  const { id } = await exportTable(house.alice, { resource: 'contacts', format: 'csv' })
  const key = `exports/${house.alice.tenantId}/${id}.csv`
  await utimes(join(folder(), key), days(2), days(2))
  await asOwner(house.ownerUrl, (owner) =>
    owner.query("update exports set status = 'running', file = null where id = $1", [id]),
  )
  expect(await wouldGo()).toEqual({ drafts: 0, orphans: 0 })
})
