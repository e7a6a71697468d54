import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rightsFields } from '../../adapters/search/elasticsearch-rights.ts'
import { createCustomFields } from '../../entities/custom-fields/custom-field.queries.ts'
import { createEntities, type Entities } from '../../entities/index.ts'
import type { Ctx } from '../../kernel/context.ts'
import type { Database } from '../../kernel/db/database.ts'
import { belongingOf } from '../../kernel/entity/scope.ts'
import { newId } from '../../kernel/ids.ts'
import { type Action, type Belonging, reaches, type Scope } from '../../kernel/rights.ts'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'
import { openRightsIndex, type RightsIndex } from '../../test/elasticsearch.ts'
import { mayReach, permissionsOf, staffOf } from '../../test/staff.ts'
import { findCandidates } from '../search/candidates.ts'
import { readQuestion } from '../search/question.ts'

/**
 * The rights of a caller are one piece of data, rendered as SQL for lists, reads and writes, as arguments of the search
 * function, as a filter of Elasticsearch, and asked in memory by the sockets: whatever the roles, teams, records and
 * shares, all of them say the same, and what the product says.
 */

const nouns = ['contact', 'task', 'note'] as const
const perNoun = 24
/** A word that stands in every record, so that a search for it is one for all that the caller may read. */
const word = 'quibble'
const elasticsearchUrl = process.env.TEST_ELASTICSEARCH_URL

interface Known {
  readonly type: string
  readonly id: string
  readonly belonging: Belonging
}

let house: TestApp
let db: Database
let entities: Entities
let members: Client[]
let people: string[]
let teams: string[]
let elasticsearch: RightsIndex | undefined
const records: Known[] = []

beforeAll(async () => {
  house = await startTestApp()
  db = house.app.database.db
  entities = createEntities(db, createCustomFields(db))
  const { alice } = house
  teams = await Promise.all(['North', 'South', 'West'].map(async (name) => (await alice.build('team', { name })).id))
  members = await Promise.all(['Ann', 'Ben', 'Cem', 'Dan'].map((name) => house.join(name, 'member')))
  people = [alice.userId, ...members.map(({ userId }) => userId)]
  const world = fc.sample(recordOf(people.length, people, teams), {
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
  if (elasticsearchUrl === undefined) return
  const documents = records.map(({ type, id, belonging }) => ({ id, ...rightsFields(type, belonging) }))
  elasticsearch = await openRightsIndex(elasticsearchUrl, documents)
}, 120_000)
afterAll(async () => {
  await elasticsearch?.close()
  await house.stop()
})

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
        userIds: fc.subarray(people),
        teamIds: fc.subarray(teams),
        shares,
      }),
    },
  )

/** The table of cases, the same whenever it is gone through: scopes to read and to write, and a record of some type. */
const everyCase = (look: (ctx: Ctx, record: Known) => Promise<void>): Promise<void> =>
  fc.assert(
    fc.asyncProperty(
      scopes(fc.constant('read')),
      scopes(fc.constantFrom('write', undefined)),
      fc.constantFrom(...records),
      (read, write, record) =>
        look(
          ctxOf((_type, action) => (action === 'read' ? read : write)),
          record,
        ),
    ),
    { numRuns: 120, seed: 5 },
  )

/** All records of a type that an action reaches, and the actions of which a rendering knows that. */
const renderings: [
  name: string,
  actions: Action[],
  ask: (ctx: Ctx, type: string, action: Action) => Promise<string[]>,
][] = [
  ['a list, newest first,', ['read'], (ctx, type) => listed(ctx, type, '-createdAt')],
  ['a list by last change', ['read'], (ctx, type) => listed(ctx, type, 'updatedAt')],
  ['a list by both', ['read'], (ctx, type) => listed(ctx, type, 'createdAt,-updatedAt')],
  ['the search function', ['read'], (ctx, type) => found(ctx, type)],
]
// `.ci/run` brings a server up, and fails when no test of this name has passed.
if (elasticsearchUrl !== undefined)
  renderings.push([
    'the filter of Elasticsearch',
    ['read', 'update'],
    async (ctx, type, action) => elasticsearch?.reached(type, ctx.rights.scope(type, action)) ?? [],
  ])

test.each(renderings)('%s reaches the same records as the check in memory', async (_name, actions, ask) => {
  await everyCase(async (ctx, { type }) => {
    for (const action of actions) {
      const scope = ctx.rights.scope(type, action)
      const reached = records.filter((record) => record.type === type && reaches(scope, record.belonging))
      expect([action, await ask(ctx, type, action)]).toEqual([action, idsOf(reached)])
    }
  })
})

test('a record is read and written as the check in memory says', async () => {
  await everyCase(async (ctx, { type, id, belonging }) => {
    const [read, write] = [ctx.rights.scope(type, 'read'), ctx.rights.scope(type, 'update')]
    const repository = entities.repository(type)
    expect(await answered(() => repository.get(db.tenant(ctx), id))).toBe(
      reaches(read, belonging) ? 'done' : 'NOT_FOUND',
    )
    expect(await answered(() => repository.update(db.tenant(ctx), id, {}))).toBe(writable(read, write, belonging))
  })
})

/** Nobody is told that what he may not read is there; where a write reaches everything, its role reads everything too. */
function writable(read: Scope, write: Scope, belonging: Belonging): string {
  if (write !== 'all' && !reaches(read, belonging)) return 'NOT_FOUND'
  return reaches(write, belonging) ? 'done' : 'FORBIDDEN'
}

test('whatever his role, team and manager, everybody is answered what the product says', async () => {
  const { alice } = house
  const role = await alice.build('role')
  await fc.assert(
    fc.asyncProperty(
      staffOf(people, teams, nouns),
      fc.nat({ max: members.length - 1 }),
      fc.subarray(records, { minLength: 8, maxLength: 8 }),
      async (staff, index, some) => {
        const who = members[index] ?? alice
        const changes: [string, object][] = [
          // On the way from one tree to the next there could be a circle, which is refused.
          ...teams.map((id): [string, object] => [`/teams/${id}`, { parentId: null }]),
          ...Object.entries(staff.teams).map(([id, values]): [string, object] => [`/teams/${id}`, values]),
          [`/roles/${role.id}`, { permissions: permissionsOf(staff) }],
          ...Object.entries(staff.users).map(([id, values]): [string, object] => [
            `/users/${id}`,
            id === who.userId ? { ...values, roleId: role.id } : values,
          ]),
        ]
        for (const [path, values] of changes)
          expect([path, (await alice.patch(path, values)).status]).toEqual([path, 200])
        const may = (action: 'read' | 'update', { type, belonging }: Known) =>
          mayReach(staff, who.userId, action, type, belonging)
        const readable = records.filter((record) => may('read', record))
        for (const type of nouns) {
          const ids = idsOf(readable.filter((record) => record.type === type))
          expect(await idsAt(who, `/${type}s?limit=100`)).toEqual(ids)
        }
        expect(await idsAt(who, `/search?q=${word}&limit=100`)).toEqual(idsOf(readable))
        for (const record of some) {
          const path = `/${record.type}s/${record.id}`
          const answers = [(await who.get(path)).status, (await who.patch(path, {})).status]
          const expected = may('read', record) ? [200, may('update', record) ? 200 : 403] : [404, 404]
          expect([path, answers]).toEqual([path, expected])
        }
      },
    ),
    // Each step of a smaller case would cost fifty calls.
    { numRuns: 20, seed: 5, endOnFailure: true },
  )
})

const idsOf = (some: readonly Known[]): string[] => some.map(({ id }) => id).toSorted()

const idsAt = async (who: Client, path: string): Promise<string[]> =>
  (await who.get(path)).body.data.map(({ id }: { id: string }) => id).toSorted()

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
