import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLogger } from '../../kernel/log.ts'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { eventually } from '../../test/client.ts'
import { ratesContract } from './limits.contract.ts'
import { openPostgresRates } from './postgres.ts'
import { openRedisRates } from './redis.ts'

const log = createLogger('silent')

describe('counts', () => {
  let house: TestApp
  beforeAll(async () => {
    house = await startTestApp()
  })
  afterAll(() => house.stop())
  ratesContract('in PostgreSQL', () => openPostgresRates(house.app.database.db.worker))
})

const hasRedis = spawnSync('redis-server', ['--version']).status === 0

describe.skipIf(!hasRedis)('counts', () => {
  let folder: string
  let redis: ChildProcess
  const url = () => join(folder, 'redis.sock')
  const start = async (): Promise<void> => {
    const settings = ['--port', '0', '--unixsocket', join(folder, 'redis.sock'), '--dir', folder, '--save', '']
    redis = spawn('redis-server', settings, { stdio: ['ignore', 'pipe', 'inherit'] })
    for await (const line of redis.stdout ?? []) if (/ready to accept/i.test(String(line))) break
  }
  const stop = async (): Promise<void> => {
    const ended = once(redis, 'exit')
    redis.kill()
    await ended
  }
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'clientforge-rates-'))
    await start()
  })
  afterAll(async () => {
    await stop()
    await rm(folder, { recursive: true, force: true })
  })
  const connected = async () => {
    const store = openRedisRates(url(), log)
    await eventually(async () => store.add(1, [{ key: 'x', count: 1 }]).catch(() => undefined), 'the connection')
    return store
  }

  ratesContract('in Redis', () => {
    const store = openRedisRates(url(), log)
    return {
      ...store,
      add: (minute, counts) => eventually(() => store.add(minute, counts).catch(() => undefined), 'the connection'),
    }
  })

  test('fail at once while Redis is gone, and go on when it is back', async () => {
    const store = await connected()
    await stop()
    await eventually(
      () =>
        store.add(2, [{ key: 'y', count: 1 }]).then(
          () => false,
          () => true,
        ),
      'the failure',
    )
    await start()
    const totals = await eventually(() => store.add(2, [{ key: 'z', count: 1 }]).catch(() => undefined), 'the return')
    expect(totals).toEqual([{ key: 'z', count: 1 }])
    await store.close()
  })
})
