import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCustomFields } from '../../entities/custom-fields/custom-field.queries.ts'
import { createEntities, type Entities } from '../../entities/index.ts'
import type { Ctx } from '../../kernel/context.ts'
import type { Database } from '../../kernel/db/database.ts'
import { belongingOf } from '../../kernel/entity/scope.ts'
import { newId } from '../../kernel/ids.ts'
import { type Action, type Belonging, reaches, type Scope } from '../../kernel/rights.ts'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'
import { findCandidates } from '../search/candidates.ts'
import { readQuestion } from '../search/question.ts'

/**
 * The rights of a caller are one piece of data, rendered as SQL for lists, reads and writes, as arguments of the search
 * function, and asked in memory by the sockets: whatever the roles, teams, records and shares, all of them say the same.
 */

const nouns = ['contact', 'task', 'note'] as const
const perNoun = 24
/** A word that stands in every record, so that a search for it is one for all that the caller may read. */
const word = 'quibble'

let house: TestApp
let db: Database
let entities: Entities
let people: string[]
let teams: string[]
const records: { type: string; id: string; belonging: Belonging }[] = []

beforeAll(async () => {
  house = await startTestApp()
  db = house.app.database.db
  entities = createEntities(db, createCustomFields(db))
  const { alice } = house
  teams = await Promise.all(['North', 'South'].map(async (name) => (await alice.build('team', { name })).id))
  const members = await Promise.all(['Ann', 'Ben', 'Cem'].map((name) => house.join(name, 'member')))
  people = [alice.userId, ...members.map(({ userId }) => userId)]
  const world = fc.sample(recordOf(members.length + 1, people, teams), {
    numRuns: nouns.length * perNoun,
    seed: 20_261_121,
  })
  for (const [index, { maker, held, shares }] of world.entries()) {
    const type = nouns[index % nouns.length] ?? 'contact'
    await make(type, [alice, ...members][maker] ?? alice, held, shares)
  }
  await eventually(async () => {
    const { body } = await alice.get(`/search?q=${word}&limit=100`)
    return body.page.total === records.length
  }, 'every record in the search')
}, 120_000)
afterAll(() => house.stop())

interface Drawn {
  readonly maker: number
  readonly held: readonly string[]
  readonly shares: readonly { id: string; access: 'read' | 'write' }[]
}

const recordOf = (makers: number, people: readonly string[], teams: readonly string[]): fc.Arbitrary<Drawn> =>
  fc.record({
    maker: fc.nat({ max: makers - 1 }),
    held: fc.subarray([...people], { maxLength: 2 }),
    shares: fc
      .subarray([...people, ...teams], { maxLength: 3 })
      .chain((ids) =>
        fc.tuple(
          ...ids.map((id) => fc.constantFrom('read' as const, 'write' as const).map((access) => ({ id, access }))),
        ),
      ),
  })

async function make(type: string, maker: Client, held: readonly string[], shares: Drawn['shares']): Promise<void> {
  const values =
    type === 'contact'
      ? { lastName: word, ownerId: held[0] ?? null }
      : type === 'task'
        ? { title: word, assigneeIds: held }
        : { body: word }
  const { id } = await maker.build(type, values)
  const record = (await house.alice.get(`/${type}s/${id}`)).body
  const granted = shares.map(({ id, access }) => ({ [teams.includes(id) ? 'teamId' : 'userId']: id, access }))
  expect((await house.alice.put(`/${type}s/${id}/shares`, { shares: granted })).status).toBe(200)
  records.push({ type, id, belonging: belongingOf(entities.repository(type).entity, record, shares) })
}

/** Scopes as roles compile to them: what is read counts every share. */
const scopes = (shares: fc.Arbitrary<'read' | 'write' | undefined>): fc.Arbitrary<Scope> =>
  fc.oneof(
    { weight: 1, arbitrary: fc.constantFrom<Scope>('all', 'none') },
    {
      weight: 8,
      arbitrary: fc.record({
        userIds: fc.subarray([...people, ...teams]),
        shares,
      }),
    },
  )

test('lists, counts, reads, writes, the search and the check in memory reach the same records', async () => {
  await fc.assert(
    fc.asyncProperty(
      scopes(fc.constant('read')),
      scopes(fc.constantFrom('write', undefined)),
      fc.constantFrom(...nouns),
      async (read, write, type) => {
        const ctx = ctxOf((_type, action) => (action === 'read' ? read : write))
        const expected = reached(type, read)
        for (const sort of ['-createdAt', 'updatedAt', 'createdAt,-updatedAt']) {
          expect([sort, await listed(ctx, type, sort)]).toEqual([sort, expected])
        }
        expect(await found(ctx, type)).toEqual(expected)
        const [one] = fc.sample(fc.constantFrom(...records.filter((record) => record.type === type)), 1)
        if (!one) return
        expect(await answered(() => entities.repository(type).get(db.tenant(ctx), one.id))).toBe(
          reaches(read, one.belonging) ? 'done' : 'NOT_FOUND',
        )
        expect(await answered(() => entities.repository(type).update(db.tenant(ctx), one.id, {}))).toBe(
          writable(read, write, one.belonging),
        )
      },
    ),
    { numRuns: 120, seed: 5 },
  )
}, 120_000)

/** Nobody is told that what he may not read is there; where a write reaches everything, its role reads everything too. */
function writable(read: Scope, write: Scope, belonging: Belonging): string {
  if (write !== 'all' && !reaches(read, belonging)) return 'NOT_FOUND'
  return reaches(write, belonging) ? 'done' : 'FORBIDDEN'
}

const reached = (type: string, scope: Scope): string[] =>
  records.flatMap((record) => (record.type === type && reaches(scope, record.belonging) ? [record.id] : [])).toSorted()

/** All pages of a list, whose exact count is that of its records. */
async function listed(ctx: Ctx, type: string, sort: string): Promise<string[]> {
  const list = entities.list(type, async () => [])
  const search = new URLSearchParams({ sort, limit: '7', count: 'exact' })
  const ids: string[] = []
  for (;;) {
    const { data, page } = JSON.parse(await list(db.tenant(ctx), search))
    ids.push(...data.map(({ id }: { id: string }) => id))
    if (page.nextCursor === null) {
      expect(page.total).toBe(ids.length)
      return ids.toSorted()
    }
    search.set('cursor', page.nextCursor)
  }
}

async function found(ctx: Ctx, type: string): Promise<string[]> {
  const wish = { question: readQuestion(word), types: [type], filters: {}, sort: 'relevance' } as const
  const { candidates } = await findCandidates(db.tenant(ctx), entities.registry.entities, wish)
  return candidates.map(({ id }) => id).toSorted()
}

const answered = async (act: () => Promise<unknown>): Promise<string> =>
  act().then(
    () => 'done',
    (error) => error.code,
  )

const ctxOf = (scope: (type: string, action: Action) => Scope): Ctx => ({
  tenantId: house.alice.tenantId,
  actor: { id: people[0] ?? null, type: 'user', name: 'Test' },
  rights: { userId: people[0] ?? '', role: 'reader', scope },
  sessionId: null,
  requestId: 'test',
  operationId: newId(),
  ip: null,
  userAgent: null,
  lane: 'live',
})
