import { createRedisBackend } from 'bullmq'
import { Redis } from 'ioredis'
import type { Logger } from '../../kernel/log.ts'
import { createBullEngine } from './bullmq.ts'
import type { JobEngine } from './jobs.port.ts'

/** The queue in Redis 6.2 or later, which must not evict (`maxmemory-policy noeviction`). */
export function openRedisJobs(url: string, log: Logger): JobEngine {
  const connection = new Redis(url, { maxRetriesPerRequest: 1 })
  // Workers block on their connection for as long as nothing is to do, so a command may wait for ever.
  const workerConnection = new Redis(url, { maxRetriesPerRequest: null })
  for (const each of [connection, workerConnection])
    each.on('error', (error) => log.warn({ err: error }, 'Redis does not answer; jobs wait until it does'))
  return createBullEngine(
    {
      name: 'redis',
      connection,
      workerConnection,
      backend: createRedisBackend,
      answers: async () => connection.status === 'ready' && (await connection.ping()) === 'PONG',
      close: async () => {
        connection.disconnect()
        workerConnection.disconnect()
      },
    },
    log,
  )
}
