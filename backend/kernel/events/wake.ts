import type { Direct } from '../db/direct.ts'
import type { Logger } from '../log.ts'

/** Wakes whoever reads the log: at once in this process, within 20 ms in the others, and by a timer that repairs. */
export interface Wake {
  /** Called after every commit of this process that brought events. */
  committed(): void
  /** Called when there may be something new. */
  on(listener: () => void): void
  stop(): void
}

const coalesce = 20
const busyTimer = 250
const idleTimer = 1_000

/**
 * Joins commits of 20 ms into one NOTIFY on a connection of its own: within the business transaction it would make the
 * commits queue up (measured: between a half and a ninth of the writes).
 */
export function createWake(direct: Direct, log: Logger): Wake {
  const listeners: (() => void)[] = []
  let pending: NodeJS.Timeout | null = null
  let lastActive = 0
  const wake = () => {
    for (const listener of listeners) listener()
  }
  const tell = () => {
    pending = null
    direct
      .notify()
      .catch((error) => log.debug({ err: error }, 'other processes were not notified; their timers repair it'))
  }
  direct.onNotify(() => {
    lastActive = Date.now()
    wake()
  })
  let timer: NodeJS.Timeout
  const tick = () => {
    wake()
    timer = setTimeout(tick, Date.now() - lastActive < 2_000 ? busyTimer : idleTimer)
  }
  timer = setTimeout(tick, busyTimer)
  return {
    committed: () => {
      lastActive = Date.now()
      pending ??= setTimeout(tell, coalesce)
      wake()
    },
    on: (listener) => void listeners.push(listener),
    stop: () => {
      clearTimeout(timer)
      if (pending) clearTimeout(pending)
    },
  }
}
