import { setTimeout as wait } from 'node:timers/promises'

/** Waits; the process may end meanwhile. Milliseconds. */
export const sleep = (milliseconds: number, signal?: AbortSignal): Promise<void> =>
  wait(milliseconds, undefined, { ref: false, ...(signal ? { signal } : {}) })
