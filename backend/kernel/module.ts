import type { Subscription } from './events/subscription.ts'
import type { Route } from './http/route.ts'
import type { Job, Schedule } from './jobs/job.ts'

/** What a part of the house tells `/health`: up, degraded (it heals or a fallback serves) or down. */
export interface Health {
  readonly status: 'up' | 'degraded' | 'down'
  readonly detail?: Readonly<Record<string, unknown>>
}

/** A number that is read when the metrics are asked for. */
export interface Reading {
  readonly name: string
  readonly help: string
  readonly labels?: readonly string[]
  read(): Promise<readonly { value: number; labels?: Record<string, string> }[]>
}

/** A module: what the product does with events and for people. It owns its tables. */
export interface Module {
  readonly name: string
  readonly routes?: readonly Route[]
  readonly subscriptions?: readonly Subscription[]
  readonly readings?: readonly Reading[]
  readonly jobs?: readonly Job[]
  readonly schedules?: readonly Schedule[]
  /** Started before the server listens, in every process whose role is not excluded by `app.ts`. */
  start?(): Promise<void>
  /** Stops in the reverse order of starts; must end within a few seconds. */
  stop?(): Promise<void>
  health?(): Promise<Health> | Health
}
