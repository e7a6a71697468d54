import type { Logger } from '../../kernel/log.ts'
import type { JobEngine } from './jobs.port.ts'
import { openPostgresJobs, preparePostgresJobs } from './postgres.ts'
import { openRedisJobs } from './redis.ts'

/** Where jobs can be kept. */
export interface JobStores {
  readonly redisUrl: string | undefined
  /** The owner's connection string past a pooler, for the tables of the queue. */
  readonly ownerUrl: string
  /** The worker role's, past a pooler: it listens. */
  readonly workerUrl: string
  /** What the worker role is called, or the role that it is a member of. */
  readonly workerRole: string
  readonly log: Logger
}

/** Keeps jobs in Redis when there is one, else in our own PostgreSQL. */
export async function openJobs({ redisUrl, ownerUrl, workerUrl, workerRole, log }: JobStores): Promise<JobEngine> {
  if (redisUrl !== undefined) return openRedisJobs(redisUrl, log)
  await preparePostgresJobs(ownerUrl, workerRole)
  return openPostgresJobs(workerUrl, log)
}
