import type { Caller } from '../../kernel/http/route.ts'

/** Seconds in which the same device may send a refresh token again: two tabs, a lost answer. */
const graceSeconds = 10

/** A session as it stands when a refresh token of it comes. */
export interface Presented {
  /** Whether the token is the last that was given. */
  readonly current?: boolean
  /** Whether it is the one before. */
  readonly previous?: boolean | null
  readonly same_device?: boolean | null
  /** Seconds since the last rotation. */
  readonly age?: number | null
}

/**
 * What becomes of a refresh token: the current one is changed for the next (`rotate`); the one before gives the same
 * successor `again`, within 10 seconds and to the same device; all else was `reused`, and ends the session.
 */
export function judge({ current, previous, same_device, age }: Presented): 'rotate' | 'again' | 'reused' {
  if (current) return 'rotate'
  const recent = typeof age === 'number' && age < graceSeconds
  return previous && same_device && recent ? 'again' : 'reused'
}

/** The device of a caller, as far as he shows it. */
export const deviceOf = (caller: Caller): string => `${caller.ip ?? ''} ${caller.userAgent ?? ''}`
