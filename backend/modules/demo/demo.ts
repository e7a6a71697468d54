import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'csv-parse'
import sql from 'sql-template-tag'
import { createPipeline } from '../../entities/pipelines/pipeline.actions.ts'
import { createAccount } from '../../entities/users/account.actions.ts'
import { addMember } from '../../entities/users/user.actions.ts'
import { type Ctx, systemCtx } from '../../kernel/context.ts'
import type { Database, Tx } from '../../kernel/db/database.ts'
import type { Repository, Values } from '../../kernel/entity/repository.ts'
import { constraintOf } from '../../kernel/entity/write-values.ts'
import { newId } from '../../kernel/ids.ts'
import { hashPassword } from '../../kernel/password.ts'

const folder = join(import.meta.dirname, '../../../database/seeds/demo')
const atOnce = 2
const batch = 100

type Cells = Readonly<Record<string, string>>

export interface DemoDeps {
  readonly db: Database
  repository(type: string): Repository
}

/**
 * Makes the demo tenant from the seed files, through the engine like any other write. What stands already is left alone,
 * so a seeding that was killed goes on where it stopped. Gives the email of the owner.
 */
export async function seedDemo(deps: DemoDeps, password: string): Promise<{ email: string; created: number }> {
  const { db, repository } = deps
  const ctx = importCtx(await demoTenant(db))
  const tx = db.tenant(ctx)
  let created = 0
  const make = async (type: string, external: string, values: Values): Promise<void> => {
    await repository(type).create(tx, { ...values, externalId: external })
    created++
  }
  const teams = await known(tx, 'teams')
  for await (const { name = '' } of rows('teams.csv'))
    if (!teams.has(slug(name))) await make('team', slug(name), { name })
  const email = await seedUsers(deps, ctx, await known(tx, 'teams'), password)
  const users = await idsBy(
    tx,
    sql`select email as key, id from users where tenant_id = ${ctx.tenantId} and deleted_at is null`,
  )
  const companies = await known(tx, 'companies')
  for await (const row of rows('companies.csv')) {
    if (companies.has(row.externalId ?? '')) continue
    const id = newId()
    companies.set(row.externalId ?? '', id)
    await repository('company').create(tx, companyOf(row, companies, users), { id })
    created++
  }
  await seedDefinitions(deps, ctx)
  const stages = await idsBy(tx, sql`select s.name as key, s.id from stages s where s.tenant_id = ${ctx.tenantId}`)
  const deals = await known(tx, 'deals')
  await inBatches(rows('deals.csv'), async (list) => {
    const missing = list.filter((row) => !deals.has(row.externalId ?? ''))
    const records = missing.map((row) => ({ values: dealOf(row, stages, companies, users) }))
    for (const made of await repository('deal').createMany(tx, records)) {
      if ('missing' in made) throw new Error(`a demo deal refers to what is not there: ${made.missing}`)
      created++
    }
  })
  return { email, created }
}

async function demoTenant(db: Database): Promise<string> {
  const [found] = await db.anonymous(sql`select id from find_demo_tenant()`)
  if (found) return found.id
  const id = newId()
  try {
    await db.anonymous(sql`select create_tenant(${id}, 'Demo', true)`)
    return id
  } catch (error) {
    // Another process that starts at the same time was faster; its tenant is the one.
    if (constraintOf(error) !== 'tenants_demo') throw error
    return demoTenant(db)
  }
}

/** An import tells nobody of each record that it makes. */
const importCtx = (tenantId: string): Ctx =>
  systemCtx(tenantId, {
    actor: { id: null, type: 'import', name: 'Demo data' },
    rights: { userId: '', role: 'owner', scope: () => 'all' },
    lane: 'bulk',
  })

async function seedUsers(
  deps: DemoDeps,
  ctx: Ctx,
  teams: ReadonlyMap<string, string>,
  password: string,
): Promise<string> {
  const { db, repository } = deps
  const list: Cells[] = []
  for await (const row of rows('users.csv')) list.push(row)
  const owner = list.find((row) => row.role === 'owner')?.email ?? ''
  const ids = await idsBy(
    db.tenant(ctx),
    sql`select email as key, id from users where tenant_id = ${ctx.tenantId} and deleted_at is null`,
  )
  if (list.every((row) => ids.has(row.email ?? ''))) return owner
  const hash = await hashPassword(password)
  await db.transaction(ctx, async (tx) => {
    for (const { name = '', email = '', role = '', team = '', manager = '' } of list) {
      if (ids.has(email)) continue
      const id = newId()
      ids.set(email, id)
      const [account] = await tx.query(sql`select id from find_account(${email})`)
      const accountId = account?.id ?? (await createAccount(tx, email, hash))
      const values = { name, email, role, teamId: teams.get(slug(team)) ?? null, managerId: ids.get(manager) ?? null }
      await addMember(tx, repository('user'), accountId, values, id)
    }
  })
  return owner
}

async function seedDefinitions({ db, repository }: DemoDeps, ctx: Ctx): Promise<void> {
  const tx = db.tenant(ctx)
  const [pipeline] = await tx.query(
    sql`select 1 from pipelines where tenant_id = ${ctx.tenantId} and deleted_at is null limit 1`,
  )
  const wanted = JSON.parse(await readFile(join(folder, 'pipeline.json'), 'utf8'))
  if (!pipeline) await db.transaction(ctx, (inner) => createPipeline(inner, { ...wanted, isDefault: true }))
  const fields = await idsBy(
    tx,
    sql`select key, id from custom_fields where tenant_id = ${ctx.tenantId} and deleted_at is null`,
  )
  for (const field of JSON.parse(await readFile(join(folder, 'custom-fields.json'), 'utf8'))) {
    if (!fields.has(field.key)) await repository('custom_field').create(tx, field)
  }
}

const companyOf = (row: Cells, companies: ReadonlyMap<string, string>, users: ReadonlyMap<string, string>): Values => ({
  externalId: row.externalId,
  name: row.name,
  industry: row.industry || null,
  foundedYear: number(row.foundedYear),
  annualRevenue: number(row.annualRevenue),
  currency: row.currency,
  employees: number(row.employees),
  address: row.country ? { country: row.country } : null,
  parentId: companies.get(row.parent ?? '') ?? null,
  ownerId: users.get(row.owner ?? '') ?? null,
})

const dealOf = (
  row: Cells,
  stages: ReadonlyMap<string, string>,
  companies: ReadonlyMap<string, string>,
  users: ReadonlyMap<string, string>,
): Values => ({
  externalId: row.externalId,
  name: row.name,
  value: number(row.value),
  currency: row.currency,
  stageId: stages.get(row.stage ?? ''),
  companyId: companies.get(row.company ?? '') ?? null,
  ownerId: users.get(row.owner ?? '') ?? null,
  ...(row.closedAt ? { closedAt: `${row.closedAt}T00:00:00.000Z` } : {}),
  customFields: row.engageDate ? { engage_date: row.engageDate } : {},
})

const number = (cell: string | undefined): number | null => (cell ? Number(cell) : null)

const slug = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]+/g, '-')

const rows = (file: string): AsyncIterable<Cells> => createReadStream(join(folder, file)).pipe(parse({ columns: true }))

async function known(tx: Tx, table: 'teams' | 'companies' | 'deals'): Promise<Map<string, string>> {
  const queries = {
    teams: sql`select external_id as key, id from teams where tenant_id = ${tx.ctx.tenantId} and deleted_at is null and external_id is not null`,
    companies: sql`select external_id as key, id from companies where tenant_id = ${tx.ctx.tenantId} and deleted_at is null and external_id is not null`,
    deals: sql`select external_id as key, id from deals where tenant_id = ${tx.ctx.tenantId} and deleted_at is null and external_id is not null`,
  }
  return idsBy(tx, queries[table])
}

async function idsBy(tx: Tx, query: ReturnType<typeof sql>): Promise<Map<string, string>> {
  return new Map((await tx.query(query)).map((row) => [row.key, row.id]))
}

/** Does the work of a stream in batches, a few at once; the first failure ends it. */
async function inBatches(source: AsyncIterable<Cells>, work: (items: Cells[]) => Promise<void>): Promise<void> {
  const iterator = source[Symbol.asyncIterator]()
  const take = async (): Promise<Cells[]> => {
    const items: Cells[] = []
    while (items.length < batch) {
      const next = await iterator.next()
      if (next.done) break
      items.push(next.value)
    }
    return items
  }
  const lane = async (): Promise<void> => {
    for (let items = await take(); items.length > 0; items = await take()) await work(items)
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
}
