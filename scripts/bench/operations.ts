import { randomInt, randomUUID } from 'node:crypto'
import { createCustomFields } from '../../backend/entities/custom-fields/custom-field.queries.ts'
import { createEntities } from '../../backend/entities/index.ts'
import type { Ctx } from '../../backend/kernel/context.ts'
import type { Database, Statement } from '../../backend/kernel/db/database.ts'
import { createPostgres } from '../../backend/kernel/db/postgres.ts'
import { createLister } from '../../backend/kernel/entity/lister.ts'
import type { Request, Route } from '../../backend/kernel/http/route.ts'
import { newId } from '../../backend/kernel/ids.ts'
import { createLogger } from '../../backend/kernel/log.ts'
import { compileRights } from '../../backend/modules/auth/rights.ts'
import { searchModule } from '../../backend/modules/search/search.module.ts'
import type { Shot } from './load.ts'
import { type Recipe, recipesOf, type Varied } from './peer.ts'
import type { PeerWork } from './pgbench.ts'
import { contactCount, contactId, type House, lastNames } from './setup.ts'

/** Something that users do all day, over HTTP and as its bare statements. */
export interface Operation extends PeerWork {
  readonly title: string
  readonly writes: boolean
  /** What the ratio to the peer should at least be. */
  readonly goal: number | null
  shot(): Shot
}

const anyContact = (): string => contactId(randomInt(1, contactCount + 1))
const words = lastNames.slice(0, 20).map((name) => name.toLowerCase())

/** The operations, with the statements that the engine itself sends for them, recorded while it does them. */
export async function recordOperations(house: House): Promise<Operation[]> {
  const log = createLogger('error')
  const db = createPostgres({ appUrl: house.appUrl, workerUrl: house.workerUrl, log, appConnections: 1 })
  try {
    return await recorded(house, db)
  } finally {
    await db.close()
  }
}

async function recorded(house: House, db: Database): Promise<Operation[]> {
  const taken: Statement[] = []
  const recorder = recording(db, taken)
  const customFields = createCustomFields(db)
  const entities = createEntities(recorder, customFields)
  const contacts = entities.repository('contact')
  const list = createLister(contacts.entity, entities.registry, customFields, async () => [])
  const search = searchModule({ db: recorder, log: createLogger('error'), entities: entities.registry.entities })
  const ctx = contextOf(house)
  const take = async (work: () => Promise<unknown>): Promise<Statement[]> => {
    taken.length = 0
    await work()
    return [...taken]
  }
  const twice = async (known: readonly Varied[], work: (round: 0 | 1) => Promise<unknown>): Promise<Recipe[]> => {
    await take(() => work(0))
    return recipesOf(await take(() => work(0)), await take(() => work(1)), known, freshId(house))
  }
  const tx = recorder.tenant(ctx)
  const record = varied([contactId(1), contactId(2)], anyContactSql, anyContact)
  const name = varied(['Benchone', 'Benchtwo'], "concat('Bench', :s::text)", newName)
  const score = varied([1_001, 1_002], ':s', () => randomInt(1, 1_000))
  const searches: Recipe[][] = []
  for (const word of words) searches.push(await twice([], () => searchFor(search.module.routes ?? [], ctx, word)))
  const pick = [`\\set n random(1, ${contactCount})`, '\\set s random(1, 1000)']
  return [
    {
      name: 'create',
      title: '`POST /contacts`',
      writes: true,
      goal: 0.6,
      sets: ['\\set s random(1, 1000000000)'],
      scripts: [await twice([name], (round) => contacts.create(tx, newContact(house, String(name.seen[round]))))],
      shot: () => ({ method: 'POST', path: '/api/v1/contacts', body: newContact(house, newName()), expect: 201 }),
    },
    {
      name: 'read',
      title: '`GET /contacts/{id}`',
      writes: false,
      goal: 0.3,
      sets: pick,
      scripts: [await twice([record], (round) => contacts.get(tx, contactId(round + 1)))],
      shot: () => ({ method: 'GET', path: `/api/v1/contacts/${anyContact()}`, expect: 200 }),
    },
    {
      name: 'list',
      title: '`GET /contacts?limit=50`',
      writes: false,
      goal: 0.5,
      sets: [],
      scripts: [await twice([], () => list(tx, new URLSearchParams('limit=50')))],
      shot: () => ({ method: 'GET', path: '/api/v1/contacts?limit=50', expect: 200 }),
    },
    {
      name: 'update',
      title: '`PATCH /contacts/{id}`',
      writes: true,
      goal: null,
      sets: pick,
      scripts: [
        await twice([record, score], (round) =>
          contacts.update(tx, contactId(round + 1), { leadScore: Number(score.seen[round]) }),
        ),
      ],
      shot: () => ({
        method: 'PATCH',
        path: `/api/v1/contacts/${anyContact()}`,
        body: { leadScore: randomInt(1, 1_000) },
        expect: 200,
      }),
    },
    {
      name: 'search',
      title: '`GET /search/contacts?q=`',
      writes: false,
      goal: 0.7,
      sets: [],
      scripts: searches,
      shot: () => ({
        method: 'GET',
        path: `/api/v1/search/contacts?q=${words[randomInt(words.length)]}`,
        expect: 200,
      }),
    },
  ]
}

const newName = (): string => `Bench${randomInt(1, 1_000_000_000)}`

const newContact = (house: House, lastName: string): Record<string, unknown> => ({
  firstName: 'Ada',
  lastName,
  email: 'ada@example.com',
  phone: '+442079460958',
  jobTitle: 'Analyst',
  leadScore: 50,
  source: 'web',
  companyId: house.companyId,
})

const varied = (seen: readonly [unknown, unknown], sql: string, make: () => unknown): Varied => ({ seen, sql, make })

const anyContactSql = "('0190a000-0000-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid"

/** Ids in the order of time keep an index compact, as ours do; before PostgreSQL 18 there are only random ones. */
const freshId = (house: House): Varied => ({
  seen: [null, null],
  sql: Number.parseInt(house.postgresVersion, 10) >= 18 ? 'uuidv7()' : 'gen_random_uuid()',
  make: randomUUID,
})

/** A database whose statements are done and noted. */
function recording(db: Database, taken: Statement[]): Database {
  return {
    ...db,
    tenant: (ctx) => {
      const tx = db.tenant(ctx)
      return {
        ...tx,
        query: (query) => {
          taken.push({ text: query.text, values: query.values })
          return tx.query(query)
        },
      }
    },
  }
}

function contextOf(house: House): Ctx {
  return {
    tenantId: house.tenantId,
    actor: { id: house.userId, type: 'user', name: 'Ada Bench' },
    rights: compileRights({ id: house.userId, role: 'owner', team: [] }),
    sessionId: newId(),
    requestId: newId(),
    operationId: newId(),
    ip: '127.0.0.1',
    userAgent: 'bench',
    lane: 'live',
  }
}

/** Calls the route as the server would; its statements are what counts. */
async function searchFor(routes: readonly Route[], ctx: Ctx, word: string): Promise<void> {
  const route = routes.find(({ method, path }) => method === 'get' && path === '/search/contacts')
  if (!route || route.access) throw new Error('there is no search of contacts')
  const search = new URLSearchParams({ q: word })
  const request: Request<unknown, unknown, unknown> = {
    params: {},
    query: route.query?.parse({ q: word }),
    body: undefined,
    search,
    path: route.path,
    header: () => undefined,
    rawBody: undefined,
    idempotencyKey: () => undefined,
    form: () => Promise.reject(new Error('a search has no form')),
  }
  await route.handle({ ...ctx, requestId: newId(), operationId: newId() }, request)
}
