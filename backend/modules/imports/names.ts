import { LRUCache } from 'lru-cache'
import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { type Binder, fillAnew, planCache } from '../../kernel/db/plan.ts'
import { columnOf } from '../../kernel/entity/define.ts'
import type { Field } from '../../kernel/entity/fields.ts'
import type { Registry } from '../../kernel/entity/registry.ts'
import { scopeShape, scopeSql, scopeUsers } from '../../kernel/entity/scope.ts'

/** A record that is looked for: by a member of its noun; a stage by its pipeline too (null: the default one). */
export interface Wanted {
  readonly type: string
  readonly by: string
  readonly text: string
  readonly pipelineId?: string | null
}

/** What was found: an id, nothing, or several of which none is meant more than the others. */
export type Found = string | null | 'several'

/** Finds records by their names, ignoring case, spaces and punctuation; what is found is remembered for a while. */
export interface Names {
  find(tx: Tx, wanted: readonly Wanted[]): Promise<(wanted: Wanted) => Found>
}

const remembered = 20_000

/** Makes the memory of one import. What is rolled back must not be remembered: then it has none. */
export function createNames(registry: Registry, withMemory: boolean): Names {
  const known = new LRUCache<string, string>({ max: withMemory ? remembered : 1, ttl: withMemory ? 0 : 1 })
  return {
    find: async (tx, wanted) => {
      const found = new Map<string, Found>()
      const open = new Map<string, Wanted>()
      for (const one of wanted) {
        const id = known.get(keyOf(one))
        if (id === undefined) open.set(keyOf(one), one)
        else found.set(keyOf(one), id)
      }
      const groups = Map.groupBy(open.values(), ({ type, by }) => `${type}.${by}`)
      for (const group of groups.values()) {
        for (const [one, id] of await look(tx, registry, group)) {
          found.set(keyOf(one), id)
          // Records of this house stay for the length of an import; what is gone meanwhile is told by the write itself.
          if (id !== null && id !== 'several') known.set(keyOf(one), id)
        }
      }
      return (one) => found.get(keyOf(one)) ?? null
    },
  }
}

const keyOf = ({ type, by, text, pipelineId }: Wanted): string => `${type} ${by} ${pipelineId ?? ''} ${text}`

async function look(tx: Tx, registry: Registry, wanted: readonly Wanted[]): Promise<[Wanted, Found][]> {
  const [first] = wanted
  if (!first) return []
  const rows = first.type === 'stage' ? await findStages(tx, wanted) : await findRecords(tx, registry, first, wanted)
  const byPlace = Map.groupBy(rows, ({ place }) => place)
  return wanted.map((one, index) => [one, chosen(byPlace.get(index + 1) ?? [], one.type)])
}

interface Hit {
  readonly place: number
  readonly id: string
  /** Whether it is written just so. */
  readonly same: boolean
}

/** Who is written just so goes first, then the oldest; but of two people called alike nobody knows who is meant. */
function chosen(hits: readonly Hit[], type: string): Found {
  const same = hits.filter((hit) => hit.same)
  const best = same.length > 0 ? same : hits
  return best.length > 1 && type === 'user' ? 'several' : (best[0]?.id ?? null)
}

const plans = planCache(100)

function findRecords(tx: Tx, registry: Registry, { type, by }: Wanted, wanted: readonly Wanted[]): Promise<Hit[]> {
  const field = registry.entities.get(type)?.all[by]
  const entity = registry.entities.get(type)
  if (!entity || !field) throw new Error(`a ${type} is not named by its ${by}`)
  const scope = tx.ctx.rights.scope(type, 'read')
  const column = `x.${columnOf(by, field)}`
  const { normal, stored } = normalOf(field, column)
  const write = (bind: Binder) => `
    with asked as materialized (
      select w.place, w.text, k.key from unnest(${bind('texts', 'text[]')}) with ordinality w(text, place)
      cross join lateral (values ${normal('w.text').map((key) => `(${key})`)}) k(key))
    select distinct a.place::integer as place, x.id, ${column} = a.text as same, x.created_at
    from asked a join ${entity.table} x on x.tenant_id = ${bind('tenant', 'uuid')} and ${stored} = a.key
    where ${registry.target(type).live} and ${scopeSql(entity, scope, 'x', bind, 'holders')}
    order by 1, x.created_at, x.id`
  const plan = plans(`${type} ${by} ${scopeShape(scope)}`, write)
  const texts = wanted.map(({ text }) => text)
  return tx.query<Hit>(fillAnew(plan, { tenant: tx.ctx.tenantId, holders: scopeUsers(scope), texts }))
}

/** Nouns of which a tenant has few have no column with the normal form; keys of one's own are exact, but for case. */
function normalOf(field: Field, column: string): { normal: (text: string) => string[]; stored: string } {
  const { normal, kind } = field
  if (normal) return { normal: (text) => [normal.sql(text)], stored: `x.${normal.column}` }
  if (kind === 'email') return { normal: (text) => [`lower(${text})`], stored: `lower(${column})` }
  if (column === 'x.name') return { normal: (text) => [`name_key(${text})`], stored: `name_key(${column})` }
  return { normal: (text) => [text, `lower(${text})`], stored: column }
}

const findStages = (tx: Tx, wanted: readonly Wanted[]): Promise<Hit[]> =>
  tx.query<Hit>(sql`
    select w.place::integer as place, s.id, s.name = w.text as same
    from unnest(${wanted.map(({ text }) => text)}::text[], ${wanted.map(({ pipelineId }) => pipelineId ?? null)}::uuid[])
      with ordinality w(text, pipeline_id, place)
    join pipelines p on p.tenant_id = ${tx.ctx.tenantId} and p.deleted_at is null
      and case when w.pipeline_id is null then p.is_default else p.id = w.pipeline_id end
    join stages s on s.tenant_id = p.tenant_id and s.pipeline_id = p.id and name_key(s.name) = name_key(w.text)
    order by s.position, s.id`)
