import pg from 'pg'
import { prepareValue } from 'pg/lib/utils.js'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { company } from '../../entities/companies/company.entity.ts'
import { contact } from '../../entities/contacts/contact.entity.ts'
import { deal } from '../../entities/deals/deal.entity.ts'
import { interaction } from '../../entities/interactions/interaction.entity.ts'
import { lead } from '../../entities/leads/lead.entity.ts'
import { note } from '../../entities/notes/note.entity.ts'
import { product } from '../../entities/products/product.entity.ts'
import { tag } from '../../entities/tags/tag.entity.ts'
import { task } from '../../entities/tasks/task.entity.ts'
import { team } from '../../entities/teams/team.entity.ts'
import { user } from '../../entities/users/user.entity.ts'
import { asOwner } from '../../test/app.ts'
import { crowd, fillCrowd } from '../../test/crowd.ts'
import { withDatabase } from '../../test/global.setup.ts'
import type { Statement } from '../db/database.ts'
import { fill, plan } from '../db/plan.ts'
import { roleUrl } from '../db/roles.ts'
import type { Scope } from '../rights.ts'
import type { CustomField } from './custom.ts'
import { columnOf, type Entity } from './define.ts'
import { hasManners, listValues, type Manner } from './list-finding.ts'
import { type CursorPart, listSql } from './list-plan.ts'
import { fieldOf, readListQuery } from './list-query.ts'
import { missingSql, readsOf, readsParameters } from './references.ts'
import { createRegistry } from './registry.ts'

/**
 * Every sort and filter that is offered reads no more than it shows, whatever the tenant's size: each `eq`, `in` and range
 * under its default sort, each sort alone, for values that most records have and for those that a few of the oldest have.
 */

const page = 50
const database = `crowd_${process.pid}`
const ownerUrl = withDatabase(inject('ownerUrl'), database)

const customFields = (
  [
    ['region', 'text'],
    ['seats', 'number'],
    ['renewal', 'date'],
  ] as const
).map(([key, type]) => ({
  id: crowd.fields[key],
  key,
  type,
  required: false,
  unique: false,
  options: [],
  default: null,
})) satisfies CustomField[]

let app: pg.Client

beforeAll(async () => {
  await asOwner(inject('ownerUrl'), (server) =>
    server.query(`create database ${database} template ${inject('template')}`),
  )
  await fillCrowd(ownerUrl)
  app = new pg.Client({ connectionString: roleUrl(ownerUrl, 'clientforge_app') })
  await app.connect()
  await app.query("select set_config('app.tenant_id', $1, false)", [crowd.tenantId])
}, 400_000)

afterAll(async () => {
  await app?.end()
  await asOwner(inject('ownerUrl'), (server) => server.query(`drop database if exists ${database} with (force)`))
})

const nouns = [contact, company, deal, lead, task, note, interaction, product, team, user, tag]
const registry = createRegistry(nouns, {})

test.each(nouns.flatMap((entity) => sortsOf(entity).map((sort) => ({ path: entity.path, sort, entity }))))(
  '$path sorted by $sort',
  async ({ entity, sort }) => {
    const places = await placesOf(entity, sort)
    const costs = []
    for (const direction of ['', '-'])
      for (const place of places) costs.push(...(await costsOf(entity, `sort=${direction}${sort}`, place)))
    expect(costs.filter(isTooMuch)).toEqual([])
  },
)

test.each(nouns.flatMap((entity) => filtersOf(entity).map((filter) => ({ path: entity.path, filter, entity }))))(
  '$path filtered by $filter',
  async ({ entity, filter }) => {
    const costs = []
    for (const query of await queriesOf(entity, filter)) costs.push(...(await costsOf(entity, query, { part: 'none' })))
    expect(costs.filter(isTooMuch)).toEqual([])
  },
)

const uuidOf = (number: number) => `00000000-0000-7000-8000-1${number.toString(16).padStart(11, '0')}`

/** Who left owns five records of each hundred thousand; the other nearly as much as all together. */
const holders = { few: [uuidOf(19)], many: [uuidOf(0)], team: [uuidOf(19), uuidOf(0), uuidOf(3), uuidOf(5)] }

test.each(nouns.filter(({ shareable }) => shareable).map((entity) => ({ path: entity.path, entity })))(
  'of $path a role reads what is its own, by no scan of what others have',
  async ({ entity }) => {
    const costs = []
    const scans = []
    for (const [who, userIds] of Object.entries(holders)) {
      const scope = { userIds, teamIds: [uuidOf(99)], shares: 'read' } as const
      for (const sort of sortsOf(entity).filter((name) => !name.startsWith('cf.'))) {
        for (const cost of await costsOf(entity, `sort=-${sort}`, { part: 'none' }, scope)) {
          if (cost.scans.length > 0) scans.push([who, cost])
          // Of nouns that nobody holds, the few of this crowd are thousands: who made them.
          const isFew = who === 'few' && entity.heldBy !== undefined
          const isNewest = who === 'many' && sort === 'createdAt' && entity !== task
          if (isFew || isNewest) costs.push(cost)
        }
      }
    }
    expect(scans).toEqual([])
    expect(costs.filter(isTooMuch)).toEqual([])
  },
)

test.each(nouns.filter(({ shareable }) => shareable).map((entity) => ({ path: entity.path, entity })))(
  'a walk through $path for what one may read ends soon, whether it found a page or not',
  async ({ entity }) => {
    const costs = []
    const scopes = Object.values(holders).map(
      (userIds) => ({ userIds, teamIds: [uuidOf(99)], shares: 'read' }) as const,
    )
    const isWalked = (search: string, scope: Scope) =>
      hasManners(entity, readListQuery(entity, new URLSearchParams(search), customFields), scope)
    for (const sort of sortsOf(entity).filter((name) => !name.startsWith('cf.')))
      for (const place of await placesOf(entity, sort))
        for (const scope of scopes) costs.push(...(await costsOf(entity, `sort=-${sort}`, place, scope, 'walk')))
    const [text] =
      Object.entries(entity.all).find(([, { side, filter }]) => !side && filter?.includes('contains')) ?? []
    const searches = [...(text ? [`${text}[contains]=nowhere`] : [])]
    for (const filter of filtersOf(entity)) searches.push(...(await queriesOf(entity, filter)))
    for (const search of searches)
      for (const scope of scopes)
        if (isWalked(search, scope)) costs.push(...(await costsOf(entity, search, { part: 'none' }, scope, 'walk')))
    // Ten pages of what has a value, and ten of what has none.
    expect(costs.filter(({ scans, removed }) => scans.length > 0 || removed > 20 * page)).toEqual([])
  },
)

/** The tenant is far bigger than others, and its users have more and less than the mean. */
test('a list is planned once for all, whoever reads it', async () => {
  await app.query('set plan_cache_mode = auto')
  const scopes = Object.values(holders).map((userIds) => ({ userIds, teamIds: [uuidOf(99)], shares: 'read' }) as const)
  const anew = []
  for (const entity of nouns.filter(({ shareable }) => shareable))
    for (const [place, scope] of (['all', ...scopes] as const).entries())
      for (const manner of ['ways', 'walk'] as const) {
        const query = readListQuery(entity, new URLSearchParams(), [])
        const made = plan((bind) => listSql(entity, { ...query, manner }, scope, 'none', registry, bind))
        const { text, values } = fill(made, { tenant: crowd.tenantId, ...listValues(entity, query, scope) })
        const name = `planned_${entity.type}_${place}_${manner}`
        // Postgres plans five times for the values before it weighs that against one plan for all.
        for (let times = 0; times < 6; times++) await app.query({ name, text, values: [...values] })
        const { rows } = await app.query('select generic_plans from pg_prepared_statements where name = $1', [name])
        if (Number(rows[0].generic_plans) === 0) anew.push(name)
      }
  expect(anew).toEqual([])
})

test.each(
  [contact, deal, note].flatMap((entity) =>
    (['all', { userIds: holders.many, shares: 'read' }] as const).map((scope) => ({ entity, scope })),
  ),
)('what a $entity.type refers to is looked up by its key, whatever one may read: $scope', async ({ entity, scope }) => {
  const member = { contact: 'companyId', deal: 'contactIds' }[entity.type] ?? 'related'
  const reads = readsOf(entity, [member], registry, { userId: '', role: '', scope: () => scope })
  const whole = { reads, withGiven: false, withUsers: false, withOld: false, derived: [] }
  const made = plan((bind) => `select ${missingSql(entity, [member], registry, bind, whole)}`)
  const id = '00000000-0000-7000-8000-000000000001'
  const related = JSON.stringify([{ type: 'deal', id }])
  const values = { companyId: id, contactIds: [id], related, ...readsParameters(reads) }
  expect((await costsOfStatement(fill(made, { tenant: crowd.tenantId, ...values }), member)).filter(isTooMuch)).toEqual(
    [],
  )
})

function sortsOf(entity: Entity): string[] {
  const members = Object.entries(entity.all).flatMap(([name, field]) => (field.sort ? [name] : []))
  return entity === deal ? [...members, ...customFields.map(({ key }) => `cf.${key}`)] : members
}

function filtersOf(entity: Entity): string[] {
  const members = Object.entries(entity.all).flatMap(([name, field]) => (field.filter?.includes('eq') ? [name] : []))
  return entity === deal ? [...members, ...customFields.map(({ key }) => `cf.${key}`)] : members
}

interface Place {
  readonly part: CursorPart
  readonly last0?: string | null
  readonly lastId?: string
}

/** The first page, one from the middle of the records with a value, and one of those without. */
async function placesOf(entity: Entity, name: string): Promise<Place[]> {
  const { table, column } = orderOf(entity, name)
  const [withValue, without] = await Promise.all(
    [`is not null order by ${column}, id`, 'is null order by id'].map((rest) =>
      ask(`select (${column})::text as last0, id as "lastId" from ${table}
           where tenant_id = '${crowd.tenantId}' and ${column} ${rest} offset 9000 limit 1`),
    ),
  )
  return [
    { part: 'none' },
    ...(withValue?.map((row): Place => ({ part: 'value', ...row })) ?? []),
    ...(without?.map((row): Place => ({ part: 'null', ...row })) ?? []),
  ]
}

/** Where the values stand that a list is sorted by. */
function orderOf(entity: Entity, name: string): { table: string; column: string } {
  const custom = customFields.find(({ key }) => name === `cf.${key}`)
  if (!custom) {
    const field = fieldOf(entity, name)
    return { table: entity.table, column: field.sortColumn ?? columnOf(name, field) }
  }
  const column = custom.type === 'text' ? 'c.text_value collate "und-x-icu"' : 'c.number_value'
  const join = `r.tenant_id = c.tenant_id and r.id = c.record_id and c.field_id = '${custom.id}'`
  return {
    table: `(select r.tenant_id, r.id, ${column} as held from ${entity.table} r left join custom_values c on ${join}) r`,
    column: 'held',
  }
}

/** The queries of a filter: with what most have, what fewest have, and for ranges also from the middle. */
async function queriesOf(entity: Entity, name: string): Promise<string[]> {
  const { from, column, print, operators } = sourceOf(entity, name)
  const ranges = operators.filter((operator) => /^[gl]te?$/.test(operator))
  const spread = 'percentile_disc(array[0, 0.5, 1]) within group (order by value)'
  const [values] = await ask(`
    with v as materialized (select ${column} as value, count(*) as records ${from} and ${column} is not null group by 1),
      bounds as (select ${ranges.length > 0 ? `${spread} as b from v` : 'null::text[] as b'})
    select ${print(`(select value from v order by records desc, value::text collate "C" limit 1)`)} as common,
      ${print(`(select value from v order by records, value::text collate "C" limit 1)`)} as rare,
      ${[1, 2, 3].map((place) => `${print(`b[${place}]`)} as b${place}`).join(', ')} from bounds`)
  const { common, rare, ...bounds } = values ?? {}
  const several = [`${name}[in]=${common},${rare}`, `${name}[in]=${rare}`]
  return [
    `${name}=${common}`,
    `${name}=${rare}`,
    ...(operators.includes('in') ? several : []),
    ...ranges.flatMap((operator) => Object.values(bounds).map((bound) => `${name}[${operator}]=${bound}`)),
  ]
}

interface Source {
  readonly from: string
  readonly column: string
  readonly operators: readonly string[]
  print(value: string): string
}

/** Where the values of a filtered member stand, and how a query writes them. */
function sourceOf(entity: Entity, name: string): Source {
  const asText = (value: string) => `${value}::text`
  const of = (table: string, condition: string) =>
    `from ${table} where tenant_id = '${crowd.tenantId}' and ${condition}`
  const custom = customFields.find(({ key }) => name === `cf.${key}`)
  if (custom) {
    const isText = custom.type === 'text'
    return {
      from: of('custom_values', `field_id = '${custom.id}'`),
      column: isText ? 'text_value' : 'number_value',
      operators: isText ? ['in'] : ['in', 'gt', 'gte', 'lt', 'lte'],
      print: custom.type === 'date' ? (value) => `(date '1970-01-01' + ${value}::integer)` : asText,
    }
  }
  const field = fieldOf(entity, name)
  const operators = field.filter ?? []
  const isType = `record_type = '${entity.type}'`
  if (field.side === 'tags') return { from: of('record_tags', isType), column: 'tag', operators, print: asText }
  if (field.side === 'links') {
    const from = of('record_links', `${isType} and member = '${name}'`)
    return { from, column: 'target_id::text', operators, print: asText }
  }
  const column = columnOf(name, field)
  const print = (field.kind === 'time' || field.kind === 'date') && field.print ? field.print : asText
  return {
    from: of(entity.table, 'true'),
    column: field.type === 'uuid' ? `${column}::text` : column,
    operators,
    print,
  }
}

interface Cost {
  readonly query: string
  readonly how: string
  /** Rows that a filter or recheck threw away, that scans gave, and pages of the buffer that were looked at. */
  readonly removed: number
  readonly read: number
  readonly buffers: number
  /** Tables of which every row was looked at. */
  readonly scans: readonly string[]
}

/** Who lacks a custom field is found by passing over those who have it: in this crowd every other one. */
const passedOver = ({ query }: Cost): number => (/sort=-?cf\..* null$/.test(query) ? 2 * page : 0)

const isTooMuch = (cost: Cost): boolean => cost.removed > 2 * page + passedOver(cost) || cost.read > 10 * page

/** What a list costs as the application's role: planned for its values, and planned once for all values. */
async function costsOf(
  entity: Entity,
  search: string,
  place: Place,
  scope: Scope = 'all',
  manner?: Manner,
): Promise<Cost[]> {
  const query = readListQuery(entity, new URLSearchParams(search), customFields)
  const made = plan((bind) => listSql(entity, manner ? { ...query, manner } : query, scope, place.part, registry, bind))
  const statement = fill(made, {
    tenant: crowd.tenantId,
    ...listValues(entity, query, scope),
    ...place,
  })
  return costsOfStatement(statement, `${search} ${place.part}`)
}

async function costsOfStatement({ text, values }: Statement, what: string): Promise<Cost[]> {
  const literals = values.map((value) => {
    const printed = prepareValue(value)
    return printed === null ? 'null' : pg.escapeLiteral(String(printed))
  })
  const name = await prepared(text)
  const costs: Cost[] = []
  for (const how of ['force_custom_plan', 'force_generic_plan']) {
    await app.query(`set plan_cache_mode = ${how}`)
    const { rows } = await app.query(
      `explain (analyze, buffers, timing off, format json) execute ${name}(${literals.join(', ')})`,
    )
    const root: Node = rows[0]['QUERY PLAN'][0].Plan
    costs.push({
      query: what,
      how,
      ...summed(root),
      scans: scannedBy(root),
      buffers: root['Shared Hit Blocks'] + root['Shared Read Blocks'],
    })
  }
  return costs
}

const names = new Map<string, string>()

/** The plan for all values is made once for a statement. */
async function prepared(text: string): Promise<string> {
  const known = names.get(text)
  if (known) return known
  const name = `list_${names.size}`
  await app.query(`prepare ${name} as ${text}`)
  names.set(text, name)
  return name
}

interface Node {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly 'Rows Removed by Index Recheck'?: number
  readonly 'Rows Removed by Join Filter'?: number
  readonly 'Shared Hit Blocks': number
  readonly 'Shared Read Blocks': number
  readonly Plans?: readonly Node[]
}

function summed(node: Node): { removed: number; read: number } {
  const below = (node.Plans ?? []).map(summed)
  const removed =
    (node['Rows Removed by Filter'] ?? 0) +
    (node['Rows Removed by Index Recheck'] ?? 0) +
    (node['Rows Removed by Join Filter'] ?? 0)
  const scans = node['Relation Name'] !== undefined || node['Node Type'] === 'Bitmap Index Scan'
  return below.reduce((sum, part) => ({ removed: sum.removed + part.removed, read: sum.read + part.read }), {
    removed: removed * node['Actual Loops'],
    read: scans ? node['Actual Rows'] * node['Actual Loops'] : 0,
  })
}

const scannedBy = (node: Node): string[] => [
  ...(node['Node Type'] === 'Seq Scan' && node['Actual Loops'] > 0 ? [node['Relation Name'] ?? ''] : []),
  ...(node.Plans ?? []).flatMap(scannedBy),
]

async function ask(text: string): Promise<Record<string, string>[]> {
  return (await app.query({ text, types: { getTypeParser: () => (value: string) => value } })).rows
}
