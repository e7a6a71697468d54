import { existsSync } from 'node:fs'
import { startApp } from '../backend/app.ts'
import { keptSecret, loadConfig } from '../backend/config.ts'
import { createLogger } from '../backend/kernel/log.ts'

if (existsSync('.env')) process.loadEnvFile('.env')
await seed().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})

/** Makes the demo data, or what of it is missing, on the configured database, and prints the sign-in. */
async function seed(): Promise<void> {
  const config = loadConfig()
  // As a web process on a port of its own: what follows from the data is for the process that serves to work off.
  const app = await startApp({ ...config, port: 0, host: '127.0.0.1', role: 'web' }, createLogger('warn'))
  try {
    const password = keptSecret(config.storageDir, 'demo-password').slice(0, 16)
    const started = performance.now()
    const { email, created } = await app.seedDemo(password)
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    console.log(created === 0 ? 'The demo data was there.' : `Made ${created} records in ${seconds} s.`)
    console.log(`Demo sign-in: ${email} ${password}`)
  } finally {
    await app.stop()
  }
}
