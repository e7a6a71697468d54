import type { WorkerTx } from '../../kernel/db/database.ts'
import type { RateStore } from '../../kernel/http/rate-store.port.ts'
import type { Logger } from '../../kernel/log.ts'
import { openPostgresRates } from './postgres.ts'
import { openRedisRates } from './redis.ts'

/** Where processes settle their counts: in Redis when there is one, else in our own PostgreSQL. */
export const openRates = (deps: { redisUrl: string | undefined; worker: WorkerTx; log: Logger }): RateStore =>
  deps.redisUrl === undefined ? openPostgresRates(deps.worker) : openRedisRates(deps.redisUrl, deps.log)
