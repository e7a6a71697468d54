import type { DomainEvent } from './event.ts'

/** Tells what is new in the log to this process: sockets and caches. In memory, from the start of the process on. */
export interface Tail {
  /**
   * Called with all events, of every tenant and lane, that became visible since the last call: complete up to the
   * horizon, in (tx, seq) order, each event once. Listeners must not throw; they are told in order of registration.
   */
  listen(listener: (events: readonly DomainEvent[]) => void): void
  /** The first events of one tenant since a moment, in (tx, seq) order; fewer than the limit are complete to the horizon. */
  since(tenantId: string, moment: Date, limit: number): Promise<DomainEvent[]>
}
