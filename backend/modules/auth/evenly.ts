import { sleep } from '../../kernel/clock.ts'

/**
 * Ends no sooner than after this time, in milliseconds, however short the work was: how long an answer takes then does
 * not tell whether there was something to do.
 */
export async function evenly<T>(milliseconds: number, work: () => Promise<T>): Promise<T> {
  const floor = sleep(milliseconds)
  try {
    return await work()
  } finally {
    await floor
  }
}
