import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'

let house: TestApp
let dora: Client
/** The deals that stand, with their sort values, through every walk. */
let standing: string[]

beforeAll(async () => {
  house = await startTestApp()
  dora = await house.found('Initech', 'Dora')
  const operations = Array.from({ length: 24 }, (_none, index) => ({
    op: 'create',
    data: {
      name: ['Äpfel', 'apfel', 'Birne', 'zebra', 'Ünal', '🍐'][index % 6],
      ...(index % 3 === 0 ? {} : { value: [0.1, 5, -3, 99_999_999_999.9999][index % 4] }),
      ...(index % 4 === 0 ? {} : { expectedCloseDate: ['2026-01-01', '2026-02-01'][index % 2] }),
      tags: index % 2 === 0 ? ['even'] : ['odd', 'even'],
    },
  }))
  const { body } = await dora.post('/deals/bulk', { operations })
  standing = body.results.map((result: { id: string }) => result.id)
})
afterAll(() => house.stop())

/** All ids that walking the cursor gives, with something done between the pages. */
async function walk(query: string, between: () => Promise<unknown> = async () => {}): Promise<string[]> {
  const seen: string[] = []
  let cursor: string | null = null
  do {
    const answer = await dora.get(`/deals?${query}${cursor === null ? '' : `&cursor=${cursor}`}`)
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    seen.push(...answer.body.data.map((record: { id: string }) => record.id))
    cursor = answer.body.page.nextCursor
    if (cursor !== null) await between()
  } while (cursor !== null)
  return seen
}

describe('a walk', () => {
  const sorts = ['createdAt', 'updatedAt', 'name', 'value', 'expectedCloseDate', 'closedAt']

  test.each(sorts.flatMap((name) => [name, `-${name}`]))(
    'by %s visits every record once, page by page',
    async (sort) => {
      expect((await walk(`sort=${sort}&limit=5`)).sort()).toEqual([...standing].sort())
    },
  )

  test('visits every record that stands exactly once while others write', async () => {
    const key = fc.tuple(fc.constantFrom(...sorts), fc.boolean())
    const keys = fc.uniqueArray(key, { minLength: 1, maxLength: 3, selector: ([name]) => name })
    const filter = fc.constantFrom('', '&tags=even', '&tags[in]=even,odd', '&status=open', '&name[ne]=none')
    const disturbance = { name: 'Birne', value: 5, tags: ['even', 'odd'] }
    await fc.assert(
      fc.asyncProperty(keys, fc.integer({ min: 1, max: 9 }), filter, async (chosen, limit, chosenFilter) => {
        const sort = chosen.map(([name, descending]) => `${descending ? '-' : ''}${name}`).join(',')
        const made: string[] = []
        const seen = await walk(`sort=${sort}&limit=${limit}${chosenFilter}`, async () => {
          // Else a walk in the order of making, one a page, would never come to the end of what is made behind it.
          if (made.length === 12) return
          const { id } = await dora.build('deal', disturbance)
          const victim = made.at(-2)
          if (victim)
            await dora.patch(`/deals/${victim}`, { name: 'zebra', value: null, expectedCloseDate: '2026-01-01' })
          made.push(id)
        })
        const stood = seen.filter((id) => standing.includes(id))
        await Promise.all(made.map((id) => dora.delete(`/deals/${id}`)))
        expect([...stood].sort()).toEqual([...standing].sort())
      }),
      { numRuns: 12 },
    )
  }, 60_000)
})

describe('the order', () => {
  const members = async (query: string, member: string) =>
    (await dora.get(`/deals?${query}&limit=200`)).body.data.map((record: Record<string, unknown>) => record[member])

  test('nulls are last in both directions', async () => {
    const up = (await members('sort=value', 'value')) as (number | null)[]
    const down = (await members('sort=-value', 'value')) as (number | null)[]
    const given = up.filter((value) => value !== null)
    expect(given).toEqual([...given].sort((a, b) => a - b))
    expect(up.slice(given.length).every((value) => value === null)).toBe(true)
    expect(down).toEqual([...given.toReversed(), ...up.slice(given.length)])
  })

  test('text runs as people read it, not by bytes', async () => {
    const names = (await members('sort=name', 'name')) as string[]
    expect([...new Set(names)].filter((name) => name !== '🍐')).toEqual(['apfel', 'Äpfel', 'Birne', 'Ünal', 'zebra'])
  })

  test('a second key decides among equals', async () => {
    const { body } = await dora.get('/deals?sort=expectedCloseDate,-value&limit=200')
    const rows: { expectedCloseDate: string | null; value: number | null }[] = body.data
    const rank = (row: (typeof rows)[number]) => [row.expectedCloseDate ?? '9999', -(row.value ?? -1e15)] as const
    const sorted = [...rows].sort((a, b) => rank(a)[0].localeCompare(rank(b)[0]) || rank(a)[1] - rank(b)[1])
    const shown = (list: typeof rows) => list.map((row) => [row.expectedCloseDate, row.value])
    expect(shown(rows)).toEqual(shown(sorted))
  })

  test('without a sort the newest come first', async () => {
    const { body } = await dora.get('/deals?limit=200')
    const ids = body.data.map((record: { id: string }) => record.id)
    expect(ids).toEqual([...ids].sort().toReversed())
  })
})

describe('a cursor', () => {
  const next = async (query: string): Promise<string> => (await dora.get(`/deals?${query}`)).body.page.nextCursor
  const refused = async (query: string) => {
    const answer = await dora.get(`/deals?${query}`)
    expect([query, answer.status]).toEqual([query, 400])
    expect(answer.body).toMatchObject({ code: 'VALIDATION_FAILED', errors: [{ path: 'cursor' }] })
  }

  test('belongs to its filter, sort, quick find and tenant', async () => {
    const cursor = await next('sort=value&limit=2')
    expect((await dora.get(`/deals?sort=value&limit=3&cursor=${cursor}`)).status).toBe(200)
    expect((await dora.get(`/deals?sort=value&fields=id&count=exact&cursor=${cursor}`)).status).toBe(200)
    for (const query of ['', 'sort=-value', 'sort=value,name', 'sort=value&status=open', 'sort=value&q=birne'])
      await refused(`${query}&cursor=${cursor}`)
    expect((await house.alice.get(`/deals?sort=value&cursor=${cursor}`)).status).toBe(400)
    expect((await dora.get(`/contacts?cursor=${await next('limit=2')}`)).status).toBe(400)
  })

  test('that was tampered with is 400', async () => {
    for (const sort of ['createdAt', '-value', 'name', 'expectedCloseDate', 'value,-name']) {
      const cursor = await next(`sort=${sort}&limit=2`)
      const [digest, ...keys] = JSON.parse(Buffer.from(cursor, 'base64url').toString())
      const forged = (...parts: unknown[]) => Buffer.from(JSON.stringify(parts)).toString('base64url')
      const some = keys.slice(0, -1)
      const bad = [
        forged(digest),
        forged(digest, ...some),
        forged(digest, ...some, 'no id'),
        forged(digest, ...some, null),
        forged(digest, ...some, 7),
        forged(digest, ...some, ...keys),
        forged(digest, ...some.map(() => ({})), keys.at(-1)),
        forged(digest, ...some.map(() => '\0'), keys.at(-1)),
        forged('x', ...keys),
        cursor.slice(0, -3),
        'null',
        '!',
      ]
      if (sort !== 'name') bad.push(forged(digest, ...some.map(() => "' or 1=1 --"), keys.at(-1)))
      for (const text of bad) await refused(`sort=${sort}&cursor=${encodeURIComponent(text)}`)
    }
  })

  test('that claims a null where none can be is 400', async () => {
    for (const sort of ['createdAt', '-name', 'updatedAt']) {
      const [digest, ...keys] = JSON.parse(Buffer.from(await next(`sort=${sort}&limit=2`), 'base64url').toString())
      const forged = Buffer.from(JSON.stringify([digest, null, keys.at(-1)])).toString('base64url')
      await refused(`sort=${sort}&cursor=${forged}`)
    }
  })

  test('that is empty or long is 400', async () => {
    await refused('cursor=')
    await refused(`cursor=${'a'.repeat(8_000)}`)
  })
})
