import sql from 'sql-template-tag'
import type { Database, Tx } from '../../kernel/db/database.ts'
import { asProblem } from '../../kernel/http/problem.ts'
import type { RowError } from './draft.ts'
import type { Wanted } from './names.ts'
import { emptyOutcome, type Link, type Outcome } from './outcome.ts'
import { makeMissing, type PointingDeps } from './pointing.ts'
import type { Writer } from './writers.ts'

/** What resolving links needs. */
export interface LinkDeps extends PointingDeps {
  readonly db: Database
  readonly writer: Writer
  /** The type of the table's records, to which the links lead. */
  readonly type: string
}

/** The next links of an import after a line, all of each line. */
export function nextLinks(tx: Tx, importId: string, after: number, limit: number): Promise<Link[]> {
  return tx.query<Link>(sql`
    with next as (
      select line from import_links
      where tenant_id = ${tx.ctx.tenantId} and import_id = ${importId} and line > ${after} order by line limit ${limit})
    select l.line, l.member, l.record_id as "recordId", l.by, l.value, l.column_name as "column" from import_links l
    where l.tenant_id = ${tx.ctx.tenantId} and l.import_id = ${importId} and l.line > ${after}
      and l.line <= (select max(line) from next)
    order by l.line, l.member`)
}

/** Sets the members that lead to other records of the table, in the transaction of `tx`. */
export async function resolveLinks(tx: Tx, deps: LinkDeps, links: readonly Link[]): Promise<Outcome> {
  const outcome = emptyOutcome()
  const wanted = links.map(({ by, value }): Wanted => ({ type: deps.type, by, text: value }))
  const found = await deps.names.find(tx, wanted)
  const made = await makeMissing(
    tx,
    deps,
    wanted.filter((one) => found(one) === null),
    outcome,
  )
  for (const [index, link] of links.entries()) {
    const one = wanted[index]
    const id = one && (made(one) ?? found(one))
    if (!one || id === null || id === undefined || id === 'several') {
      outcome.errors.push(
        errorOf(link, id === 'several' ? 'names several of them' : `is no ${deps.type} that is there`),
      )
      continue
    }
    const problem = await set(tx, deps, link, id, outcome)
    if (problem) outcome.errors.push(errorOf(link, problem))
  }
  return outcome
}

/** What is wrong with it, or null: a record cannot be its own parent. */
async function set(tx: Tx, { db, writer, type }: LinkDeps, link: Link, id: string, outcome: Outcome) {
  try {
    const values = { [link.member]: id }
    const changed = await db.transaction(tx.ctx, (nested) => writer.update(nested, link.recordId, values, null))
    if (changed.changed)
      outcome.effects.push({ type, id: link.recordId, version: changed.version, before: { [link.member]: null } })
    return null
  } catch (error) {
    const problem = asProblem(error)
    if (!problem || problem.status >= 500) throw error
    return problem.errors?.[0]?.message ?? problem.message
  }
}

const errorOf = ({ line, column, value }: Link, reason: string): RowError => ({ line, column, value, reason })
