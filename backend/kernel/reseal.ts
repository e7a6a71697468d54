import type { Database, WorkerTx } from './db/database.ts'
import type { Logger } from './log.ts'
import type { Secrets } from './secrets.ts'

/** A secret as it is stored. */
export interface Sealed {
  /** By which its table goes on, and finds it again. */
  readonly key: string
  readonly sealed: string
  readonly purpose: string
}

/** A place where sealed secrets stand. */
export interface SealedPlace {
  readonly name: string
  /** The next after a key that are not sealed under a prefix, in the order of their keys, locked until the end of the transaction. */
  next(tx: WorkerTx, prefix: string, after: string, limit: number): Promise<readonly Sealed[]>
  put(tx: WorkerTx, key: string, sealed: string): Promise<void>
}

const atOnce = 100

/**
 * Seals what is sealed under older keys under the current one, in short transactions, while everybody works. What was
 * done stays done when it is stopped. What opens under no key of ours is left, and counted.
 */
export async function reseal(
  db: Database,
  secrets: Secrets,
  places: readonly SealedPlace[],
  { signal, log }: { signal?: AbortSignal; log: Logger },
): Promise<{ resealed: number; lost: number }> {
  let resealed = 0
  let lost = 0
  for (const place of places) {
    const opened = ({ key, sealed, purpose }: Sealed): string | undefined => {
      try {
        return secrets.reseal(sealed, purpose)
      } catch (error) {
        lost++
        log.error({ err: error, place: place.name, key }, 'a secret opens under no key that is here')
        return undefined
      }
    }
    for (let after = first; ; ) {
      signal?.throwIfAborted()
      const last = await db.workerTransaction(async (tx) => {
        const found = await place.next(tx, secrets.prefix, after, atOnce)
        for (const secret of found) {
          const anew = opened(secret)
          if (anew === undefined) continue
          await place.put(tx, secret.key, anew)
          resealed++
        }
        return found.length < atOnce ? undefined : found.at(-1)?.key
      })
      if (last === undefined) break
      after = last
    }
  }
  return { resealed, lost }
}

const first = '00000000-0000-0000-0000-000000000000'
