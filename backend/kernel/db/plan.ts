import { createHash } from 'node:crypto'
import type { Sql } from 'sql-template-tag'
import type { Statement } from './database.ts'

/** A statement's text with the names of its parameters in order: made once for each shape, filled for each call. */
export interface Plan {
  readonly text: string
  readonly parameters: readonly string[]
  readonly name: string | undefined
}

/** Collects the parameters of a plan while its text is written; gives a parameter's placeholder, the same each time: `$3::uuid`. */
export type Binder = (parameter: string, type: string) => string

/** Writes a plan: `write` gets a binder and gives the text. */
export function plan(write: (bind: Binder) => string): Plan {
  const places = new Map<string, number>()
  const bind: Binder = (parameter, type) => {
    const place = places.get(parameter) ?? places.size + 1
    places.set(parameter, place)
    return `$${place}::${type}`
  }
  const text = write(bind)
  return { text, parameters: [...places.keys()], name: nameOf(text) }
}

/** Fills a plan with values. */
export function fill(plan: Plan, values: Readonly<Record<string, unknown>>): Statement {
  return { text: plan.text, name: plan.name, values: plan.parameters.map((parameter) => values[parameter] ?? null) }
}

/**
 * Fills a plan that is made anew each time: what joins many values with a table. Prepared, it keeps the way that was right
 * when the table was small, until somebody analyzes it (an import into an empty table: ten times slower).
 */
export const fillAnew = (plan: Plan, values: Readonly<Record<string, unknown>>): Statement => ({
  ...fill(plan, values),
  name: undefined,
})

/** A statement that is said often, prepared once a connection. */
export const named = (name: string, { text, values }: Sql): Statement => ({ name, text, values })

/** Plans by shape, the least recently used dropped: building a text costs more than sending it. */
export function planCache(max = 500): (shape: string, write: (bind: Binder) => string) => Plan {
  const plans = new Map<string, Plan>()
  return (shape, write) => {
    const known = plans.get(shape)
    if (known) {
      plans.delete(shape)
      plans.set(shape, known)
      return known
    }
    const made = plan(write)
    plans.set(shape, made)
    const [oldest] = plans.keys()
    if (plans.size > max && oldest !== undefined) plans.delete(oldest)
    return made
  }
}

const maxNames = 200
const names = new Map<string, string>()

/** The first 200 texts of a process are prepared by name; later ones are sent unnamed, as `pg` never forgets a name. */
function nameOf(text: string): string | undefined {
  const known = names.get(text)
  if (known || names.size >= maxNames) return known
  const name = `p_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`
  names.set(text, name)
  return name
}
