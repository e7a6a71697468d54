import type { Sql } from 'sql-template-tag'
import type { Ctx } from '../context.ts'
import type { DomainEvent } from '../events/event.ts'

/** A statement with its parameters. With `name` it is prepared once a connection; without, sent unnamed. */
export interface Statement {
  readonly text: string
  readonly values: readonly unknown[]
  readonly name?: string | undefined
}

/** What a statement may be given as: `sql` of sql-template-tag, or a planned statement. */
export type Query = Sql | Statement

/** A row as the driver gives it; the caller says its shape and its test on the real schema proves it. */
// biome-ignore lint/suspicious/noExplicitAny: rows are typed by the caller of `query`
export type Row = Record<string, any>

/** Where statements of one tenant run. It carries the context; row-level security sees only its tenant. */
export interface Tx {
  readonly ctx: Ctx
  query<R extends Row = Row>(query: Query): Promise<R[]>
  /** Notes an event that a statement of this transaction appended; the bus is told after the commit. */
  appended(event: Committed): void
}

/** What the bus is told after a commit: enough to drop caches and wake runners. The whole event is in the log. */
export type Committed = Pick<DomainEvent, 'tenantId' | 'name' | 'type' | 'recordId' | 'version'>

/** Where cross-tenant work of subscriptions, schedules and platform administration runs: the worker role. */
export interface WorkerTx {
  query<R extends Row = Row>(query: Query): Promise<R[]>
}

/** The doors to PostgreSQL. */
export interface Database {
  /** Each statement is a transaction of its own and costs one round trip, tenant included. */
  tenant(ctx: Ctx): Tx
  /** Several statements that commit together or not at all. Keep it short: it holds back every cursor. */
  transaction<T>(ctx: Ctx, work: (tx: Tx) => Promise<T>): Promise<T>
  /** Statements as the worker role, over all tenants. */
  readonly worker: WorkerTx
  workerTransaction<T>(work: (tx: WorkerTx) => Promise<T>): Promise<T>
  /** Calls a definer function before a tenant is known (sign-in, refresh); sees no tenant's rows otherwise. */
  anonymous<R extends Row = Row>(query: Query): Promise<R[]>
}
