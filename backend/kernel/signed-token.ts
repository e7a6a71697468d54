import { timingSafeEqual } from 'node:crypto'
import { isId } from './ids.ts'

/** A mark of a text that only holders of the secret can make: an HMAC-SHA256. */
export type Mark = (text: string) => Buffer

/** What a signed token names: of something with an id, one generation. */
export interface Signed {
  readonly id: string
  readonly generation: number
}

/**
 * The token of a generation of an id, for a purpose: the same each time, so that it can be given again though only hashes
 * are stored. `id.generation.mark`, the mark in base64url.
 */
export const signedToken = (mark: Mark, purpose: string, { id, generation }: Signed): string =>
  `${id}.${generation}.${markOf(mark, purpose, { id, generation }).toString('base64url')}`

/** What a token names; undefined when it was not signed by these, or for another purpose. */
export function readSignedToken(mark: Mark, purpose: string, token: string): Signed | undefined {
  const [, id = '', digits = '', signature = ''] = /^([0-9a-f-]{36})\.(\d{1,9})\.([\w-]{43})$/.exec(token) ?? []
  if (!isId(id)) return undefined
  const generation = Number(digits)
  const given = Buffer.from(signature, 'base64url')
  const right = markOf(mark, purpose, { id, generation })
  return given.length === right.length && timingSafeEqual(given, right) ? { id, generation } : undefined
}

const markOf = (mark: Mark, purpose: string, { id, generation }: Signed): Buffer =>
  mark(`${purpose} ${id} ${generation}`)
