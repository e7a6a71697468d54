import pg from 'pg'
import { prepareValue } from 'pg/lib/utils.js'
import type { Row, Statement } from './database.ts'

/** What this class uses of a connection of `pg`: its wire protocol and its books on prepared statements. */
interface Wire {
  readonly stream: { cork(): void; uncork(): void }
  readonly parsedStatements: Record<string, string | undefined>
  readonly submittedNamedStatements: Record<string, string | undefined>
  parse(message: { name: string; text: string }): void
  bind(message: { portal: string; statement: string; values: unknown[]; valueMapper(value: unknown): unknown }): void
  describe(message: { type: 'P'; name: string }): void
  execute(message: { portal: string; rows: number }): void
  sync(): void
}

interface QueryOfPg {
  name: string
  text: string
  submit(wire: Wire): Error | null
  handleDataRow(message: unknown): void
  handleCommandComplete(message: unknown, wire: Wire): void
  handleError(error: Error, wire: Wire): void
}

const Base = pg.Query as unknown as new (config: object) => QueryOfPg

const setTenant = { name: 'set_tenant', text: "select set_config('app.tenant_id', $1, true)" }

/**
 * Sets the tenant and runs one statement under a single Sync: one round trip, and one implicit transaction, which is
 * what keeps the setting from outliving its query. `pg` alone sends a Sync after each statement.
 *
 * It relies on internals of pg 8.23 (`tenant-query.test.ts` holds the contract), which is why pg is pinned.
 */
class TenantQuery extends Base {
  readonly #statement: { name: string; text: string }
  readonly #values: unknown[]
  readonly #tenantId: string
  #tenantDone = false

  constructor(tenantId: string, statement: Statement) {
    super({ ...setTenant, values: [] })
    this.#tenantId = tenantId
    this.#statement = { name: statement.name ?? '', text: statement.text }
    // Serialised before anything is written: a value that cannot be printed must not leave half a message behind.
    this.#values = statement.values.map((value) => prepareValue(value))
  }

  override submit(wire: Wire): Error | null {
    const { name, text } = this.#statement
    const known = name ? (wire.parsedStatements[name] ?? wire.submittedNamedStatements[name]) : undefined
    if (known !== undefined && known !== text) return new Error(`the statement name ${name} is used for two texts`)
    wire.stream.cork()
    try {
      this.#send(wire, setTenant, [this.#tenantId], false)
      this.#send(wire, this.#statement, this.#values, true)
      wire.sync()
    } finally {
      wire.stream.uncork()
    }
    return null
  }

  #send(wire: Wire, statement: { name: string; text: string }, values: unknown[], describe: boolean): void {
    const { name, text } = statement
    const parsed = wire.parsedStatements[name] ?? wire.submittedNamedStatements[name]
    if (!name || parsed === undefined) {
      wire.parse(statement)
      if (name) wire.submittedNamedStatements[name] = text
    }
    wire.bind({ portal: '', statement: name, values, valueMapper: (value) => value })
    if (describe) wire.describe({ type: 'P', name: '' })
    wire.execute({ portal: '', rows: 0 })
  }

  override handleDataRow(message: unknown): void {
    if (this.#tenantDone) super.handleDataRow(message)
  }

  override handleCommandComplete(message: unknown, wire: Wire): void {
    if (this.#tenantDone) {
      super.handleCommandComplete(message, wire)
      return
    }
    // pg books parse results and errors under the query's name: first the setting's, from here on the statement's.
    this.#tenantDone = true
    this.name = this.#statement.name
    this.text = this.#statement.text
  }

  override handleError(error: Error, wire: Wire): void {
    // Neither may be believed parsed: the error may have come before its ParseComplete.
    delete wire.submittedNamedStatements[setTenant.name]
    delete wire.submittedNamedStatements[this.#statement.name]
    super.handleError(error, wire)
  }
}

/** Runs a statement as a tenant in one round trip and one transaction. Rejects with the database's error. */
export function queryAsTenant(client: pg.ClientBase, tenantId: string, statement: Statement): Promise<Row[]> {
  return new Promise((resolve, reject) => {
    const query = new TenantQuery(tenantId, statement)
    // The callback goes to `query`, never to the constructor: else the client is not given back.
    const submit = client.query.bind(client) as unknown as (
      query: QueryOfPg,
      done: (error: Error | null, result: { rows: Row[] }) => void,
    ) => void
    submit(query, (error, result) => (error ? reject(error) : resolve(result.rows)))
  })
}
