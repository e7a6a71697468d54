import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { call } from './load.ts'
import { median } from './rounds.ts'
import { register, startApp, usageOf } from './setup.ts'

/** How long starts take, in seconds, and what the app weighs when nobody uses it, in MiB. */
export interface Starts {
  readonly firstReady: number
  readonly firstCreated: number
  readonly laterReady: number
  readonly idleMemory: number
}

const laterStarts = 3
const idleSeconds = 10

/** Starts as `npm start` does, embedded database and all, in an empty storage folder, and again in the same one. */
export async function measureStarts(): Promise<Starts> {
  const storage = await mkdtemp(join(tmpdir(), 'clientforge-bench-start-'))
  const start = () => startApp(['scripts/start.mjs'], [], { NODE_ENV: 'development', STORAGE_DIR: storage })
  try {
    const began = performance.now()
    const first = await start()
    const { accessToken } = await register({ port: first.port, token: '' })
    await call(
      { port: first.port, token: accessToken },
      { method: 'POST', path: '/api/v1/contacts', body: { firstName: 'Ada' }, expect: 201 },
    )
    const firstCreated = performance.now() - began
    await first.stop()
    const later: number[] = []
    for (let time = 1; time <= laterStarts; time++) {
      const again = await start()
      later.push(again.startedIn / 1_000)
      await again.stop()
    }
    const idle = await start()
    await sleep(idleSeconds * 1_000)
    const { memory: idleMemory } = await usageOf(idle)
    await idle.stop()
    return {
      firstReady: first.startedIn / 1_000,
      firstCreated: firstCreated / 1_000,
      laterReady: median(later),
      idleMemory,
    }
  } finally {
    await rm(storage, { recursive: true, force: true })
  }
}
