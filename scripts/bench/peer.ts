import { prepareValue } from 'pg/lib/utils.js'
import type { Statement } from '../../backend/kernel/db/database.ts'

/** A value of a statement that the bench varies from run to run: as SQL of pgbench, and as made by our own loop. */
export interface Varied {
  /** What stood in its place in the two recordings. */
  readonly seen: readonly [unknown, unknown]
  readonly sql: string
  make(): unknown
}

/** A statement of the application, ready to be sent by somebody else. */
export interface Recipe {
  readonly statement: Statement
  /** By the place of the parameter; what is absent stays as it was recorded. */
  readonly varied: ReadonlyMap<number, Varied>
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** From two recordings of one operation: a parameter that differs is varied, and an id that was fresh is made afresh. */
export function recipesOf(
  first: readonly Statement[],
  second: readonly Statement[],
  known: readonly Varied[],
  fresh: Varied,
): Recipe[] {
  return first.map((statement, index) => {
    const other = second[index]
    if (other?.text !== statement.text) throw new Error('the two recordings are of different statements')
    const varied = new Map<number, Varied>()
    for (const [place, value] of statement.values.entries()) {
      const also = other.values[place]
      if (String(prepareValue(value)) === String(prepareValue(also))) continue
      const named = known.find(({ seen }) => seen[0] === value && seen[1] === also)
      if (!named && !uuid.test(String(value))) throw new Error(`nobody said how ${value} varies in: ${statement.text}`)
      varied.set(place, named ?? fresh)
    }
    return { statement, varied }
  })
}

/**
 * The recipes as a script of pgbench. Tenant and statement go out in one pipeline, under one Sync, as the application
 * sends them.
 */
export function scriptOf(recipes: readonly Recipe[], tenantId: string, sets: readonly string[]): string {
  const pipelines = recipes.map(
    (recipe) =>
      `\\startpipeline\nselect set_config('app.tenant_id', '${tenantId}', true);\n${inlined(recipe)};\n\\endpipeline\n`,
  )
  return [...sets, ...pipelines].join('\n')
}

/** The values that a run of our own loop sends. */
export const valuesOf = ({ statement, varied }: Recipe): unknown[] =>
  statement.values.map((value, place) => varied.get(place)?.make() ?? value)

function inlined({ statement, varied }: Recipe): string {
  const text = withoutColons(statement.text)
  return text.replace(/\$(\d+)/g, (_all, digits: string) => {
    const place = Number(digits) - 1
    return varied.get(place)?.sql ?? literal(statement.values[place])
  })
}

function literal(value: unknown): string {
  const printed = prepareValue(value)
  if (printed === null) return 'null'
  if (Buffer.isBuffer(printed)) return `'\\x${printed.toString('hex')}'`
  return withoutColons(`'${String(printed).replaceAll("'", "''")}'`)
}

/** pgbench takes `:MI` in a time format, and `:true` in JSON, for one of its variables. Casts (`::`) it knows. */
function withoutColons(text: string): string {
  return text.replace(/'(?:[^']|'')*'/g, (quoted) =>
    /:[A-Za-z_]/.test(quoted) ? `e${quoted.replaceAll('\\', '\\\\').replace(/:(?=[A-Za-z_])/g, '\\x3a')}` : quoted,
  )
}
