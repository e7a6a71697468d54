import { Redis } from 'ioredis'
import type { RateStore } from '../../kernel/http/rate-store.port.ts'
import type { Logger } from '../../kernel/log.ts'

/** Counts in Redis, one pipeline a second; they go by themselves. */
export function openRedisRates(url: string, log: Logger): RateStore {
  const redis = new Redis(url, { maxRetriesPerRequest: 0, enableOfflineQueue: false, commandTimeout: 1_000 })
  // The settling says when it fails; without a listener an error would end the process.
  redis.on('error', (error) => log.debug({ err: error }, 'Redis does not answer'))
  return {
    add: async (minute, counts) => {
      const pipeline = redis.pipeline()
      for (const { key, count } of counts) {
        pipeline.incrby(`clientforge:rate:${minute}:${key}`, count)
        pipeline.expire(`clientforge:rate:${minute}:${key}`, 120)
      }
      const answers = (await pipeline.exec()) ?? []
      return counts.map(({ key }, index) => {
        const [error, total] = answers[2 * index] ?? [new Error('Redis gave no answer')]
        if (error) throw error
        return { key, count: Number(total) }
      })
    },
    close: async () => redis.disconnect(),
  }
}
