import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'

/** Keeps secrets so that the database alone does not give them away. */
export interface Secrets {
  /** What sealed texts of the current key begin with. */
  readonly prefix: string
  /** Encrypts a text for one purpose: whose and what it is. Sealed for another purpose it does not open. */
  seal(text: string, purpose: string): string
  /** The text again. Throws when it was sealed for another purpose, under a key that is not here, or touched since. */
  open(sealed: string, purpose: string): string
  /** The same secret under the current key. */
  reseal(sealed: string, purpose: string): string
}

/**
 * AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce, as `v1:<key id>:<nonce, tag and ciphertext in base64url>`.
 * It seals under the first key and opens under all of them. The id of a key follows from the key, so that nobody keeps
 * a list.
 */
export function createSecrets(keys: readonly [string, ...string[]]): Secrets {
  const ring = new Map(keys.map((hex) => [idOf(hex), Buffer.from(hex, 'hex')]))
  const current = idOf(keys[0])
  const currentKey = Buffer.from(keys[0], 'hex')
  const open = (sealed: string, purpose: string): string => {
    const [, id = '', box = ''] = /^v1:([0-9a-f]{8}):([\w-]{38,})$/.exec(sealed) ?? []
    const key = ring.get(id)
    if (!key) throw new Error(`a secret is sealed under the key ${id || 'of another form'}, which is not among ours`)
    const bytes = Buffer.from(box, 'base64url')
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
    decipher.setAAD(Buffer.from(purpose))
    decipher.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes))
    return Buffer.concat([decipher.update(bytes.subarray(nonceBytes + tagBytes)), decipher.final()]).toString()
  }
  const seal = (text: string, purpose: string): string => {
    const nonce = randomBytes(nonceBytes)
    const cipher = createCipheriv('aes-256-gcm', currentKey, nonce, { authTagLength: tagBytes })
    cipher.setAAD(Buffer.from(purpose))
    const ciphertext = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
    return `v1:${current}:${Buffer.concat([nonce, cipher.getAuthTag(), ciphertext]).toString('base64url')}`
  }
  return { prefix: `v1:${current}:`, seal, open, reseal: (sealed, purpose) => seal(open(sealed, purpose), purpose) }
}

const nonceBytes = 12
const tagBytes = 16

const idOf = (hex: string): string =>
  createHash('sha256').update(`clientforge key ${hex.toLowerCase()}`).digest('hex').slice(0, 8)
