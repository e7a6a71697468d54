import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isoCBOR } from '@simplewebauthn/server/helpers'

/** A passkey in software: what a security key answers, and what it must not (WebAuthn sections 6 and 7). */
export interface Authenticator {
  readonly id: string
  create(options: Options, twist?: Twist): object
  get(options: Options, twist?: Twist): object
}

interface Options {
  readonly challenge: string
}

/** What is wrong with an answer. */
export interface Twist {
  readonly origin?: string
  readonly host?: string
  readonly challenge?: string
  /** User present and verified (5), or only present (1). */
  readonly flags?: number
  /** How far it has counted. */
  readonly counter?: number
  /** Signed by another key. */
  readonly key?: KeyObject
}

/** Makes one for a page. It counts its uses. */
export function createAuthenticator(origin: string): Authenticator {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const rawId = randomBytes(32)
  const id = rawId.toString('base64url')
  let counter = 0
  const clientData = (type: string, { challenge }: Options, twist: Twist): Buffer =>
    Buffer.from(
      JSON.stringify({
        type,
        challenge: twist.challenge ?? challenge,
        origin: twist.origin ?? origin,
        crossOrigin: false,
      }),
    )
  const data = (twist: Twist, extra: Buffer = Buffer.alloc(0)): Buffer => {
    const head = Buffer.alloc(5)
    head.writeUInt8((twist.flags ?? 5) | (extra.length > 0 ? 0x40 : 0))
    head.writeUInt32BE(twist.counter ?? ++counter, 1)
    return Buffer.concat([sha256(Buffer.from(twist.host ?? new URL(origin).hostname)), head, extra])
  }
  const shown = (response: object) => ({ id, rawId: id, type: 'public-key', clientExtensionResults: {}, response })
  return {
    id,
    create: (options, twist = {}) => {
      const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
      const cose = new Map<number, number | Uint8Array<ArrayBuffer>>([
        [1, 2],
        [3, -7],
        [-1, 1],
        [-2, Uint8Array.from(Buffer.from(x, 'base64url'))],
        [-3, Uint8Array.from(Buffer.from(y, 'base64url'))],
      ])
      const length = Buffer.alloc(2)
      length.writeUInt16BE(rawId.length)
      const attested = Buffer.concat([Buffer.alloc(16), length, rawId, isoCBOR.encode(cose)])
      const attestation = new Map<string, unknown>([
        ['fmt', 'none'],
        ['attStmt', new Map()],
        ['authData', Uint8Array.from(data(twist, attested))],
      ])
      return shown({
        clientDataJSON: clientData('webauthn.create', options, twist).toString('base64url'),
        // biome-ignore lint/suspicious/noExplicitAny: the library's type of what CBOR can hold knows no nested map
        attestationObject: Buffer.from(isoCBOR.encode(attestation as any)).toString('base64url'),
        transports: ['internal'],
      })
    },
    get: (options, twist = {}) => {
      const client = clientData('webauthn.get', options, twist)
      const authenticatorData = data(twist)
      const signature = sign('sha256', Buffer.concat([authenticatorData, sha256(client)]), twist.key ?? privateKey)
      return shown({
        clientDataJSON: client.toString('base64url'),
        authenticatorData: authenticatorData.toString('base64url'),
        signature: signature.toString('base64url'),
      })
    },
  }
}

const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest()
