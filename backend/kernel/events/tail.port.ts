import type { DomainEvent } from './event.ts'

/** Tells what is new in the log to this process: sockets and caches. In memory, from the start of the process on. */
export interface Tail {
  /**
   * Called with all events, of every tenant and lane, that became visible since the last call: complete up to the
   * horizon, in (tx, seq) order, each event once. Listeners must not throw; they are told in order of registration.
   */
  listen(listener: (events: readonly DomainEvent[]) => void): void
  /** Events of one tenant after a position and younger than the moment, in (tx, seq) order, complete to the horizon. */
  since(tenantId: string, moment: Date): Promise<DomainEvent[]>
}
