import eventemitter2 from 'eventemitter2'
import type { Committed } from '../db/database.ts'
import type { Logger } from '../log.ts'

/**
 * Tells this process what it has just committed, so that caches drop and runners wake. Nothing more may hang on it:
 * a process can die between the commit and the emit.
 */
export interface Bus {
  /** Pattern with wildcards by segment: `deal.*`, `*.created`; `**` for everything. */
  on(pattern: string, listener: (event: Committed) => void): void
  emit(event: Committed): void
}

/** The typed face of eventemitter2. A listener that throws is logged and breaks neither the emitter nor the others. */
export function createBus(log: Logger): Bus {
  const emitter = new eventemitter2.EventEmitter2({ wildcard: true, delimiter: '.', maxListeners: 0 })
  return {
    on: (pattern, listener) => {
      emitter.on(pattern, (event: Committed) => {
        try {
          listener(event)
        } catch (error) {
          log.error({ err: error, event: event.name, pattern }, 'a listener of the bus failed')
        }
      })
    },
    emit: (event) => void emitter.emit(event.name, event),
  }
}

/** Whether an event name matches a pattern with wildcards by segment. */
export function matches(pattern: string, name: string): boolean {
  const wanted = pattern.split('.')
  const given = name.split('.')
  return wanted.length === given.length && wanted.every((segment, index) => segment === '*' || segment === given[index])
}

/** The same for Postgres: a regular expression for the names that any of these patterns matches. */
export const regexOf = (patterns: readonly string[]): string =>
  `^(${patterns.map((pattern) => pattern.replaceAll('.', '\\.').replaceAll('*', '[^.]+')).join('|')})$`
