import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { password } from '../../test/cast.ts'
import { type Client, eventually } from '../../test/client.ts'
import { createPrinter } from '../../test/printer.ts'
import { exportTable, importTable } from '../../test/tables.ts'

const printer = createPrinter({ broken: false })
let house: TestApp

beforeAll(async () => {
  house = await startTestApp({ jobs: [printer.job] })
})
afterAll(() => house.stop())

/** Fills a list that is not the engine's, whose cursors have tests of their own, and says who reads it where. */
const lists: Readonly<Record<string, () => Promise<[Client, string]>>> = {
  sessions: async () => {
    await house.nobody.post('/auth/login', { email: house.bob.email, password })
    return [house.bob, '/auth/sessions']
  },
  views: async () => {
    await twice(() => house.bob.build('view', { name: 'Mine', resource: 'deal' }))
    return [house.bob, '/views']
  },
  comments: async () => [house.alice, `/deals/${await discussed()}/comments`],
  'former texts': async () => {
    const { id } = (await house.alice.get(`/deals/${await discussed()}/comments`)).body.data[0]
    for (const body of ['Well!', 'Well?']) await house.alice.patch(`/comments/${id}`, { body })
    return [house.alice, `/comments/${id}/history`]
  },
  notifications: async () => {
    await twice(() => house.bob.build('deal', { ownerId: house.alice.userId }))
    return [house.alice, '/notifications']
  },
  activities: async () => {
    await twice(() => house.alice.build('tag', { name: crypto.randomUUID() }))
    return [house.alice, '/timeline']
  },
  'activities that are searched': async () => {
    await twice(() => house.alice.build('company', { name: 'Zeppelin' }))
    return [house.alice, '/timeline/search?q=zeppelin']
  },
  duplicates: async () => {
    await twice(() => house.alice.build('lead', { email: 'ada@example.com' }))
    await house.alice.build('lead', { email: 'ada@example.com' })
    return [house.alice, '/leads/duplicates']
  },
  imports: async () => {
    await twice(() => importTable(house.alice, 'firstName\nAda\n', { resource: 'contacts' }))
    return [house.alice, '/imports']
  },
  exports: async () => {
    await twice(() => exportTable(house.alice, { resource: 'contacts', format: 'csv' }))
    return [house.alice, '/exports']
  },
  jobs: async () => {
    const olga = await house.operator()
    await twice(() => printer.print(house.alice, olga))
    return [olga, '/admin/jobs/reports?state=completed']
  },
}

test.each(Object.keys(lists))('a doctored cursor of %s is told to be none of that list', async (name) => {
  const [who, path] = (await lists[name]?.()) ?? [house.alice, '']
  const page = (cursor: string) => who.get(`${path}${path.includes('?') ? '&' : '?'}limit=1${cursor}`)
  const cursor = await eventually(
    async () => ((await page('')).body.page.nextCursor as string | null) ?? undefined,
    `a second page of ${name}`,
  )
  expect((await page(`&cursor=${cursor}`)).status).toBe(200)
  const [digest, ...place]: unknown[] = JSON.parse(Buffer.from(cursor, 'base64url').toString())
  const forged = [
    [],
    place.slice(0, -1),
    [...place, place.at(-1)],
    ...place.flatMap((part, index) => unlike(part).map((bad) => place.with(index, bad))),
  ]
  for (const parts of forged) {
    const answer = await page(`&cursor=${Buffer.from(JSON.stringify([digest, ...parts])).toString('base64url')}`)
    const told = answer.body.errors?.[0]
    expect([parts, answer.status, told?.path, told?.message]).toEqual([
      parts,
      400,
      'cursor',
      'must be a cursor that a page of this list gave',
    ])
  }
})

/** What cannot stand where this stands in a place. */
function unlike(part: unknown): unknown[] {
  if (typeof part === 'number') return [null, '1', -1, 1.5, 1e300]
  const never = [null, 7, {}, '\0']
  const text = String(part)
  if (/^\d{4}-\d\d-\d\dT/.test(text)) return [...never, 'x', '0000-01-01T00:00:00.000Z', '2026-02-30T00:00:00.000Z']
  return /^[0-9a-f-]{36}$/.test(text) ? [...never, 'x', text.slice(1)] : never
}

async function discussed(): Promise<string> {
  const { id } = await house.alice.build('deal')
  await twice(() => house.alice.post(`/deals/${id}/comments`, { body: 'Well' }))
  return id
}

async function twice(make: () => Promise<unknown>): Promise<void> {
  await make()
  await make()
}
