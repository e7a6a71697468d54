import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { ConfigError, keptSecret, loadConfig } from './config.ts'
import { connectDatabase } from './kernel/db/connect.ts'
import { createLogger } from './kernel/log.ts'

const oldestNode = [24, 15]

refuseOldNode()
await main()

/** The process: load the configuration, start the app, drain on SIGTERM and SIGINT. */
async function main(): Promise<void> {
  const config = readConfig()
  const log = createLogger(config.logLevel)
  process.on('unhandledRejection', (error) => {
    log.fatal({ err: error }, 'a promise was lost; this is a defect')
    process.exitCode = 1
    process.kill(process.pid, 'SIGTERM')
  })
  // Reading our own code takes about as long as initdb, so the two go side by side.
  const { promise: waiting, resolve: onWaiting } = Promise.withResolvers<void>()
  const database = connectDatabase({ ...config.database, storageDir: config.storageDir, log, onWaiting })
  const starting = Promise.race([waiting, database])
    .then(() => import('./app.ts'))
    .then(({ startApp }) => startApp(config, log, { database }))
  let stopping = false
  const stop = (signal: string): void => {
    if (stopping) return
    stopping = true
    log.info({ signal }, 'stopping')
    const deadline = setTimeout(() => {
      log.error('the stop took longer than 10 seconds')
      process.exit(1)
    }, 9_500)
    deadline.unref()
    starting
      .then((app) => app.stop())
      .then(() => log.info('stopped'))
      .catch((error) => {
        log.error({ err: error }, 'the stop failed')
        process.exitCode = 1
      })
      .finally(() => process.exit())
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  const app = await starting.catch((error) => {
    log.fatal({ err: error }, 'the start failed')
    process.exit(1)
  })
  setTimeout(collectStart, 3_000).unref()
  const password = config.demoData ? keptSecret(config.storageDir, 'demo-password').slice(0, 16) : undefined
  console.log(banner(app.url, app.database.adapter, config.redisUrl !== undefined))
  if (password === undefined) return
  const started = Date.now()
  try {
    const { email, created } = await app.seedDemo(password)
    if (created > 0) log.info({ created, seconds: (Date.now() - started) / 1000 }, 'the demo data was made')
    console.log(`  demo sign-in   ${email}  ${password}\n`)
  } catch (error) {
    if (!stopping) log.error({ err: error }, 'the demo data could not be made; the next start goes on with it')
  }
}

/**
 * A start leaves 45 MB of garbage behind, mostly what modules and schemas were made from, and V8 looks for it only when
 * somebody needs room: an idle process would keep it for ever.
 */
function collectStart(): void {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect === 'function') collect()
}

function banner(url: string, database: string, redis: boolean): string {
  const adapters = [
    ['database', database === 'embedded' ? 'embedded PostgreSQL (set DATABASE_URL to use yours)' : 'PostgreSQL'],
    ['search', 'PostgreSQL full text'],
    ['live updates', 'event log'],
    ['jobs', redis ? 'Redis' : 'PostgreSQL (set REDIS_URL for Redis)'],
  ]
  return `\n  ClientForge listens on ${url}\n  API reference  ${url}/docs\n\n${adapters.map(([port, adapter]) => `  ${port?.padEnd(14)} ${adapter}`).join('\n')}\n`
}

function readConfig() {
  try {
    return loadConfig()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    console.error(error.message)
    process.exit(1)
  }
}

function refuseOldNode(): void {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const [wanted = 0, least = 0] = oldestNode
  if (major > wanted || (major === wanted && minor >= least)) return
  console.error(
    `ClientForge needs Node ${oldestNode.join('.')} or newer and this is ${process.versions.node}; start it with: npm start`,
  )
  process.exit(1)
}
