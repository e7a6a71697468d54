import { createHash } from 'node:crypto'
import { invalidMember } from '../errors.ts'
import type { Mark } from '../signed-token.ts'

/** An `Idempotency-Key` with its scope: tenant and actor come from the context. */
export interface Key {
  readonly key: string
  readonly method: string
  readonly path: string
  readonly bodyHash: Buffer
}

/**
 * Reads the header; undefined when it was not sent. The body is recognised by its bytes, of which a mark is kept: they may
 * hold a password, which a bare hash would let be guessed.
 */
export function readKey(
  mark: Mark,
  header: string | undefined,
  method: string,
  path: string,
  body: unknown,
): Key | undefined {
  if (header === undefined) return undefined
  if (!/^[\x21-\x7e]{1,255}$/.test(header))
    throw invalidMember('Idempotency-Key', 'must be 1 to 255 visible ASCII characters')
  const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
  const digest = createHash('sha256').update(bytes).digest('hex')
  return { key: header, method, path, bodyHash: mark(`idempotency ${digest}`) }
}
