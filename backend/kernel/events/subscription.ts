import type { WorkerTx } from '../db/database.ts'
import type { DomainEvent } from './event.ts'

/**
 * A durable consumer of the log: it sees every event that matches its patterns, in batches of up to 500, with a cursor
 * of its own for each lane.
 *
 * With `apply`, what it does in our database happens exactly once: `apply` runs in the transaction that moves the
 * cursor. Without it, `prepare` acts outside and must be harmless when repeated (compare versions).
 *
 * A thrown error is transient (the batch is tried again with backoff) unless it is a {@link PermanentError}.
 */
export interface Subscription<Prepared = unknown> {
  readonly name: string
  /** Event names with wildcards by segment: `deal.*`, `*.created`, `*.*`. */
  readonly patterns: readonly string[]
  /** Whether `apply` appends events: who follows the log is then woken after the commit, instead of by his timer. */
  readonly appends?: true
  /** Outside of any transaction: read, compute, call. */
  prepare(batch: readonly DomainEvent[]): Promise<Prepared>
  /** One short transaction over all tenants, as the worker role; no calls to the outside. */
  apply?(tx: WorkerTx, prepared: Prepared): Promise<void>
}

/** An error that no repetition mends: the event that causes it is parked at once. */
export class PermanentError extends Error {
  override readonly name = 'PermanentError'
}
