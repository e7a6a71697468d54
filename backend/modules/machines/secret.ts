import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { MachineKind } from './machine.ts'

/** A secret as it is shown once: its text, the prefix that names it, and the hash that is kept of it. */
export interface Secret {
  readonly text: string
  readonly prefix: string
  readonly hash: Buffer
}

/** `cf` is an API key, `cfs` the secret of a service account: who finds one lying about sees what it is. */
const marks: Readonly<Record<MachineKind, string>> = { api_key: 'cf', service_account: 'cfs' }

/** Makes a secret of 256 bits. */
export function makeSecret(kind: MachineKind): Secret {
  const prefix = randomBytes(6).toString('hex')
  const text = `${marks[kind]}_${prefix}_${randomBytes(32).toString('hex')}`
  return { text, prefix, hash: hashSecret(text) }
}

/** The prefix of a text that has the form of a secret of the kind; undefined for all other texts. */
export const prefixOf = (kind: MachineKind, text: string): string | undefined => forms[kind].exec(text)?.[1]

const forms: Readonly<Record<MachineKind, RegExp>> = {
  api_key: /^cf_([0-9a-f]{12})_[0-9a-f]{64}$/,
  service_account: /^cfs_([0-9a-f]{12})_[0-9a-f]{64}$/,
}

/** Whether a text is the secret of which the hash is kept. */
export const isSecret = (text: string, hash: Buffer): boolean => timingSafeEqual(hashSecret(text), hash)

const hashSecret = (text: string): Buffer => createHash('sha256').update(text).digest()
