import { createRedisBackend } from 'bullmq'
import { Redis } from 'ioredis'
import type { Logger } from '../../kernel/log.ts'
import { createBullEngine } from './bullmq.ts'
import type { JobEngine } from './jobs.port.ts'

/** The queue in Redis 6.2 or later, which must not evict (`maxmemory-policy noeviction`). */
export function openRedisJobs(url: string, log: Logger): JobEngine {
  // Workers block on their connection for as long as nothing is to do, so a command may wait for ever.
  const connection = new Redis(url, { maxRetriesPerRequest: null })
  connection.on('error', (error) => log.warn({ err: error }, 'Redis does not answer; jobs wait until it does'))
  return createBullEngine(
    {
      name: 'redis',
      connection,
      backend: createRedisBackend,
      answers: async () => connection.status === 'ready' && (await connection.ping()) === 'PONG',
      close: async () => connection.disconnect(),
    },
    log,
  )
}
