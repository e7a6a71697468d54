import type { ZodType } from 'zod'
import type { Actor } from '../context.ts'
import type { DomainEvent } from '../events/event.ts'
import type { Logger } from '../log.ts'

/** The queues of the house. They belong to all tenants, who take turns in them. */
export const queueNames = [
  'email',
  'sms',
  'push',
  'notifications',
  'reports',
  'imports',
  'exports',
  'cleanup',
  'webhooks',
] as const

export type QueueName = (typeof queueNames)[number]

/** `normal` is everybody's turn, `high` goes before all turns, and `low` lets a thousand turns go first. */
export type Priority = 'high' | 'normal' | 'low'

/**
 * Slow or outside work: durable, tried again, and asked for by an event. A request never enqueues; it appends the event,
 * and the `jobs` subscription enqueues under the event's id, so that a batch delivered twice runs nothing twice. A job
 * runs at least once: what it does must stand a repetition after a crash.
 */
export interface Job<Data = unknown> {
  /** Unique in the house: `import.run`. */
  readonly name: string
  readonly queue: QueueName
  readonly data: ZodType<Data>
  /** Names of the events that ask for it, with wildcards by segment. */
  readonly on: readonly string[]
  /** What an event asks for: nothing, one piece of work, or several. Pure: it may be called twice. */
  ask(event: DomainEvent): readonly Asked<Data>[]
  /** How often it is tried in all; 5. */
  readonly attempts?: number
  /** Milliseconds before the second attempt, 1,000; doubled each time, each with up to half of it taken off by chance. */
  readonly backoff?: number
  /** Milliseconds after which an attempt is aborted and counts as failed; five minutes. */
  readonly timeout?: number
  /** A `PermanentError` ends it at once, any other error is tried again. */
  run(work: Work<Data>): Promise<void>
  /** Told when no attempt is left: the work is in the dead letters, from where an operator can retry it. */
  gaveUp?(work: Work<Data>, error: Error): Promise<void>
}

/** One piece of work that an event asks for. */
export interface Asked<Data> {
  readonly data: Data
  readonly priority?: Priority
  /** Milliseconds to wait before it may run. */
  readonly delay?: number
}

/** What a job is given when it runs. */
export interface Work<Data> {
  /** The event's id and the job's name: the same however often the event is delivered. */
  readonly id: string
  readonly tenantId: string
  /** Who caused it. */
  readonly actor: Actor
  readonly requestId: string
  readonly operationId: string
  readonly data: Data
  /** 1 at first. */
  readonly attempt: number
  /** Aborted at the timeout, and when the process stops: end soon, by throwing its reason, and the work is handed back. */
  readonly signal: AbortSignal
  readonly log: Logger
}

/** Standing work of the house at given times, done by one process of all. */
export interface Schedule {
  /** Unique in the house: `records.purge`. */
  readonly name: string
  readonly queue: QueueName
  /** Five fields of cron: minute, hour, day, month, day of the week. */
  readonly cron: string
  /** IANA; UTC when absent. At a change of the clock an hour that is skipped or comes twice is run once. */
  readonly timezone?: string
  /** Milliseconds after which a turn is aborted and counts as failed; five minutes. */
  readonly timeout?: number
  /** Counts what it did, or with `dryRun` what it would do; the counts go into the log. */
  run(turn: Turn): Promise<Readonly<Record<string, number>>>
}

/** One time that a schedule is due. */
export interface Turn {
  readonly dryRun: boolean
  readonly signal: AbortSignal
  readonly log: Logger
}
