import { existsSync } from 'node:fs'
import { loadConfig } from '../backend/config.ts'
import { connectDatabase } from '../backend/kernel/db/connect.ts'
import { createLogger } from '../backend/kernel/log.ts'
import { reseal } from '../backend/kernel/reseal.ts'
import { createSecrets } from '../backend/kernel/secrets.ts'
import { sealedPlaces } from '../backend/modules/auth/sealed.ts'

if (existsSync('.env')) process.loadEnvFile('.env')
await rotate().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})

/** Seals every secret that ENCRYPTION_KEYS_OLD opens under ENCRYPTION_KEY, while the server runs. */
async function rotate(): Promise<void> {
  const config = loadConfig()
  const log = createLogger('warn')
  const secrets = createSecrets([config.encryptionKey, ...config.oldEncryptionKeys])
  const database = await connectDatabase({ ...config.database, storageDir: config.storageDir, log })
  try {
    const { resealed, lost } = await reseal(database.db, secrets, sealedPlaces, { log })
    console.log(`${resealed} secrets are sealed anew.`)
    if (lost === 0) console.log('None is left under another key: ENCRYPTION_KEYS_OLD can be emptied.')
    else {
      console.error(`${lost} open under no key that is here: add theirs to ENCRYPTION_KEYS_OLD and run this again.`)
      process.exitCode = 1
    }
  } finally {
    await database.close()
  }
}
