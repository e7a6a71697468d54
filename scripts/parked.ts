import { existsSync } from 'node:fs'
import { type App, startApp } from '../backend/app.ts'
import { loadConfig } from '../backend/config.ts'
import { listParked, replay } from '../backend/kernel/events/subscriptions.ts'
import { createLogger } from '../backend/kernel/log.ts'

const atMost = 1_000
const commands: Readonly<Record<string, (app: App, subscription: string | null) => Promise<void>>> = {
  list,
  replay: replayAll,
}

if (existsSync('.env')) process.loadEnvFile('.env')
const [name = 'list', subscription = null] = process.argv.slice(2)
const command = Object.hasOwn(commands, name) ? commands[name] : undefined
if (command === undefined) {
  console.error('npm run parked -- list | replay [subscription]')
  process.exitCode = 1
} else {
  await withApp((app) => command(app, subscription)).catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  })
}

async function list(app: App, subscription: string | null): Promise<void> {
  const parked = await listParked(app.database.db.worker, subscription, atMost)
  for (const event of parked) {
    console.log(`${event.parkedAt}  ${event.subscription}  ${event.name}  ${event.eventId}  ${event.attempts} x`)
    console.log(`  ${event.error}`)
  }
  console.log(parked.length === 0 ? 'No event is parked.' : `${parked.length} parked.`)
}

/** Oldest first; those that fail again stay parked, with the new error. */
async function replayAll(app: App, subscription: string | null): Promise<void> {
  const { db } = app.database
  let digested = 0
  const parked = await listParked(db.worker, subscription, atMost)
  for (const event of parked) {
    const failure = await replay(db, app.subscriptions, event).then(
      (result) => (result.digested ? undefined : result.error),
      (error: unknown) => error,
    )
    if (failure === undefined) digested++
    else console.error(`${event.subscription}  ${event.name}  ${event.eventId}\n  ${messageOf(failure)}`)
  }
  console.log(`${digested} of ${parked.length} digested.`)
  if (digested < parked.length) process.exitCode = 1
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** As a web process on a port of its own: it knows the subscriptions and runs none of them. */
async function withApp(work: (app: App) => Promise<void>): Promise<void> {
  const config = loadConfig()
  const app = await startApp({ ...config, port: 0, host: '127.0.0.1', role: 'web' }, createLogger('warn'))
  try {
    await work(app)
  } finally {
    await app.stop()
  }
}
