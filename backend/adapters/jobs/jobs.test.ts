import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getNextMillis } from 'bullmq'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { roleUrl } from '../../kernel/db/roles.ts'
import { createLogger } from '../../kernel/log.ts'
import { asOwner } from '../../test/app.ts'
import { withDatabase } from '../../test/global.setup.ts'
import { jobsContract } from './jobs.contract.ts'
import { openPostgresJobs, preparePostgresJobs } from './postgres.ts'
import { openRedisJobs } from './redis.ts'

const log = createLogger(process.env.TEST_LOG_LEVEL ?? 'silent')

describe('jobs', () => {
  const database = `jobs_${process.pid}`
  const ownerUrl = withDatabase(inject('ownerUrl'), database)
  const workerUrl = roleUrl(ownerUrl, 'clientforge_worker')
  beforeAll(async () => {
    await asOwner(inject('ownerUrl'), (server) =>
      server.query(`create database ${database} template ${inject('template')}`),
    )
    await Promise.all([1, 2].map(() => preparePostgresJobs(ownerUrl, 'clientforge_worker')))
  })
  afterAll(() =>
    asOwner(inject('ownerUrl'), (server) => server.query(`drop database if exists ${database} with (force)`)),
  )
  jobsContract('on PostgreSQL', async () => openPostgresJobs(workerUrl, log))
})

test.each([
  // The clock jumps from two to three: what is due between is done at the jump.
  ['2027-03-27T12:00:00Z', ['2027-03-28T01:30:00Z', '2027-03-29T00:30:00Z']],
  // It is half past two twice: the first counts.
  ['2026-10-24T12:00:00Z', ['2026-10-25T00:30:00Z', '2026-10-26T01:30:00Z']],
])('a schedule keeps its hour over the change of the clock after %s', (start, expected) => {
  const turns: string[] = []
  let time = Date.parse(start)
  for (const _ of expected) {
    time = getNextMillis(time, { pattern: '30 2 * * *', tz: 'Europe/Berlin' }) ?? 0
    turns.push(new Date(time).toISOString().replace('.000', ''))
  }
  expect(turns).toEqual(expected)
})

// Debian: apt-get install redis-server. `.ci/run` does so, and counts a skipped test as a failure.
const hasRedis = spawnSync('redis-server', ['--version']).status === 0

describe.skipIf(!hasRedis)('jobs', () => {
  let folder: string
  let redis: ChildProcess
  const socket = () => join(folder, 'redis.sock')
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'clientforge-redis-'))
    const settings = ['--port', '0', '--unixsocket', socket(), '--dir', folder, '--maxmemory-policy', 'noeviction']
    redis = spawn('redis-server', settings, { stdio: ['ignore', 'pipe', 'inherit'] })
    for await (const line of redis.stdout ?? []) if (/ready to accept/i.test(String(line))) break
  })
  afterAll(async () => {
    const gone = once(redis, 'exit')
    redis.kill()
    await gone
    await rm(folder, { recursive: true, force: true })
  })
  jobsContract('on Redis', async () => openRedisJobs(socket(), log))
})
