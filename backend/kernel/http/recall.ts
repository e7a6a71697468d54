import { LRUCache } from 'lru-cache'
import type { DomainEvent } from '../events/event.ts'

/** What is known of those who may act, for a second at most and only until an event says that it may have changed. */
export interface Recall<T> {
  /** What is known under a key, else what `load` finds; who asks meanwhile waits for the same. A failure is forgotten. */
  recall(tenantId: string, key: string, load: () => Promise<T>): Promise<T>
  /** Forgets all of the tenants in which events changed who may do what. */
  forget(events: readonly Pick<DomainEvent, 'tenantId' | 'type'>[]): void
}

/** The log can stand behind another's open transaction; so old a right is looked up anew all the same. */
const believedFor = 1_000

/** Makes the empty memory; events of these types say that who may do what may have changed in their tenant. */
export function createRecall<T>(forgetters: ReadonlySet<string>): Recall<T> {
  const byTenant = new LRUCache<string, LRUCache<string, Promise<T>>>({ max: 10_000 })
  return {
    recall: (tenantId, key, load) => {
      const ofTenant = byTenant.get(tenantId) ?? new LRUCache<string, Promise<T>>({ max: 10_000, ttl: believedFor })
      byTenant.set(tenantId, ofTenant)
      const known = ofTenant.get(key)
      if (known) return known
      const loading = load()
      ofTenant.set(key, loading)
      loading.catch(() => ofTenant.delete(key))
      return loading
    },
    forget: (events) => {
      for (const event of events) if (forgetters.has(event.type)) byTenant.delete(event.tenantId)
    },
  }
}
