import type { QueueName } from '../../kernel/jobs/job.ts'
import type { Health } from '../../kernel/module.ts'

/**
 * The queue behind the jobs: durable, and shared by all processes. Two stores fulfil it, PostgreSQL and Redis; what
 * they must do alike is in `jobs.contract.ts`.
 */
export interface JobEngine {
  /** Which store was chosen. */
  readonly store: 'postgres' | 'redis'
  /** Adds work. A job whose id the queue still knows, done or not, is left as it is. */
  add(queue: QueueName, jobs: readonly NewJob[]): Promise<void>
  /** The turn of the job that is next, as {@link NewJob.turn}; undefined when nothing waits for its turn. */
  nextTurn(queue: QueueName): Promise<number | undefined>
  /** Takes work from a queue until `close`. */
  work(queue: QueueName, options: WorkOptions, perform: Perform): void
  /** Makes these the standing jobs of a queue, and ends those that were others. */
  schedule(queue: QueueName, standing: readonly Standing[]): Promise<void>
  /** The standing jobs of a queue with the time of their next turn, RFC 3339. */
  standing(queue: QueueName): Promise<readonly (Standing & { readonly next: string | null })[]>
  /** How many jobs are in which state. */
  counts(queue: QueueName): Promise<JobCounts>
  /** Jobs in one state, the latest first. */
  list(queue: QueueName, state: JobState, page: { offset: number; limit: number }): Promise<readonly StoredJob[]>
  get(queue: QueueName, id: string): Promise<StoredJob | undefined>
  /** Lets a failed job begin anew with all its attempts. False when there is none of this id that failed. */
  retry(queue: QueueName, id: string): Promise<boolean>
  /** Nobody takes work from a paused queue; what is being done goes on. */
  pause(queue: QueueName): Promise<void>
  resume(queue: QueueName): Promise<void>
  /** Removes jobs in a final state that ended so many milliseconds ago, and says how many. */
  clean(queue: QueueName, state: 'completed' | 'failed', olderThan: number): Promise<number>
  /** How many jobs `clean` would remove. */
  countEnded(queue: QueueName, state: 'completed' | 'failed', olderThan: number): Promise<number>
  health(): Promise<Health>
  /** The queues as the dashboard of this folder takes them. */
  board(queues: readonly QueueName[]): readonly unknown[]
  /** Takes no more work, waits for what is being done up to `patience` milliseconds, and leaves the rest to be rescued. */
  close(patience: number): Promise<void>
}

export const jobStates = ['waiting', 'active', 'delayed', 'completed', 'failed'] as const

export type JobState = (typeof jobStates)[number]

export type JobCounts = Readonly<Record<JobState, number>> & { readonly paused: boolean }

/** What the queue can tell apart. */
export const lastTurn = 2 ** 21

/** A job as it is added. */
export interface NewJob {
  readonly id: string
  readonly name: string
  readonly data: Readonly<Record<string, unknown>>
  /** From 1, which goes first, to {@link lastTurn}; the same turn in the order of adding. */
  readonly turn: number
  /** Milliseconds before it may run. */
  readonly delay: number
  readonly attempts: number
  /** Milliseconds before the second attempt. */
  readonly backoff: number
}

export interface WorkOptions {
  /** How many jobs this process does at once. */
  readonly concurrency: number
  /** So many jobs in so many milliseconds, over all processes. */
  readonly limit?: RateLimit | undefined
}

/** What is to be done of one job. It ends by returning, or by throwing. */
export type Perform = (job: TakenJob) => Promise<void>

/** A job that this process has taken. */
export interface TakenJob {
  readonly id: string
  readonly name: string
  readonly data: unknown
  /** 1 at first. */
  readonly attempt: number
  readonly attempts: number
}

/** Thrown by a {@link Perform} that was interrupted: the job waits again, and no attempt is used up. */
export class HandedBack extends Error {
  override readonly name = 'HandedBack'
}

/** Thrown by a {@link Perform} when no repetition would help: the job failed for good. */
export class Hopeless extends Error {
  override readonly name = 'Hopeless'
}

/** A job that comes again and again. */
export interface Standing {
  readonly name: string
  /** Five fields of cron. */
  readonly cron: string
  /** IANA. */
  readonly timezone: string
}

/** A job as operators see it. */
export interface StoredJob {
  readonly id: string
  readonly name: string
  readonly state: JobState
  readonly data: unknown
  readonly attemptsMade: number
  readonly attempts: number
  /** Why the last attempt failed. */
  readonly failedReason: string | null
  /** RFC 3339. */
  readonly addedAt: string
  readonly startedAt: string | null
  readonly endedAt: string | null
}

/** So many jobs in so many milliseconds. */
export interface RateLimit {
  readonly max: number
  readonly duration: number
}
