import type { Actor, Lane } from '../context.ts'
import type { Share } from '../rights.ts'

/** One member of a record that changed. Values are as the API shows them; never a secret. */
export interface Change {
  readonly field: string
  readonly oldValue: unknown
  readonly newValue: unknown
}

/** A fact that has been committed: what changed, who did it, and the record after. */
export interface DomainEvent {
  /** UUIDv7; also the id of the activity that it becomes. */
  readonly id: string
  readonly tenantId: string
  /** Position in the log: transaction id and sequence, both decimal text (they pass 2^53). */
  readonly tx: string
  readonly seq: string
  readonly lane: Lane
  /** `noun.verb`, as `contact.created` or `deal.won`. */
  readonly name: string
  /** The noun, singular. */
  readonly type: string
  readonly recordId: string | null
  /** The record's version after the change. Across transactions the log is not in version order: compare. */
  readonly version: number | null
  /** RFC 3339, milliseconds, UTC. */
  readonly occurredAt: string
  readonly actor: Actor
  readonly requestId: string
  readonly operationId: string
  readonly ip: string | null
  readonly userAgent: string | null
  readonly changes: readonly Change[]
  /** The record after the change, as the API shows it; null when the event is of no record. */
  readonly record: Readonly<Record<string, unknown>> | null
  /** What the verb itself has to say, as the reason of a loss. */
  readonly data: Readonly<Record<string, unknown>>
  /** With whom the record was shared then. */
  readonly shares: readonly Share[]
}

/** An event before it has a place in the log. The context adds who, when and for whom. */
export interface NewEvent {
  readonly name: string
  readonly type: string
  readonly recordId?: string | null
  readonly version?: number | null
  readonly changes?: readonly Change[]
  readonly record?: Readonly<Record<string, unknown>> | null
  readonly data?: Readonly<Record<string, unknown>>
}

/** Where an event stands in the log. */
export interface Position {
  readonly tx: string
  readonly seq: string
}
