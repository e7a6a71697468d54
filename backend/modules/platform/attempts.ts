import { LRUCache } from 'lru-cache'

/** Failed attempts by address, in the memory of this process. */
export interface Attempts {
  /** Seconds until an address may try again; 0 when it may. */
  wait(address: string | null): number
  failed(address: string | null): void
  passed(address: string | null): void
}

/** Counts failures from the first on; an address with too many waits until its time is over. */
export function createAttempts({ most, withinMs }: { most: number; withinMs: number }): Attempts {
  const failures = new LRUCache<string, number>({ max: 10_000, ttl: withinMs, noUpdateTTL: true })
  return {
    wait: (address) => {
      const known = address ?? ''
      if ((failures.get(known) ?? 0) < most) return 0
      return Math.max(1, Math.ceil(failures.getRemainingTTL(known) / 1000))
    },
    failed: (address) => void failures.set(address ?? '', (failures.get(address ?? '') ?? 0) + 1),
    passed: (address) => void failures.delete(address ?? ''),
  }
}
