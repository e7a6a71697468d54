import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { LinkOptions } from './files.port.ts'

/** Signs links to files of the local store, and reads them again. */
export interface Links {
  sign(key: string, options: LinkOptions): string
  /** What a token stands for; `forged` also when it is no token at all. */
  read(token: string): Linked | 'forged' | 'expired'
}

/** What a link leads to. */
export type Linked = z.output<typeof linkedSchema>

const linkedSchema = z.object({ k: z.string(), n: z.string(), t: z.string(), e: z.int() })

/** Links that begin with what `base` gives; their key is derived from a secret that all processes share. */
export function createLinks(secret: string, base: () => string, now: () => number = Date.now): Links {
  const key = Buffer.from(hkdfSync('sha256', secret, 'clientforge', 'links to files', 32))
  const signatureOf = (payload: string): Buffer => createHmac('sha256', key).update(payload).digest()
  return {
    sign: (file, { name, contentType, expiresIn }) => {
      const linked: Linked = { k: file, n: name, t: contentType, e: Math.floor(now() / 1_000) + expiresIn }
      const payload = Buffer.from(JSON.stringify(linked)).toString('base64url')
      return `${base()}/files/${payload}.${signatureOf(payload).toString('base64url')}`
    },
    read: (token) => {
      const [payload = '', signature = '', ...more] = token.split('.')
      const sent = Buffer.from(signature, 'base64url')
      const right = signatureOf(payload)
      if (more.length > 0 || sent.length !== right.length || !timingSafeEqual(sent, right)) return 'forged'
      const linked = linkedSchema.parse(JSON.parse(Buffer.from(payload, 'base64url').toString()))
      return linked.e * 1_000 > now() ? linked : 'expired'
    },
  }
}
