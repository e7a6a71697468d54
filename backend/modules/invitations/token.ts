import { timingSafeEqual } from 'node:crypto'
import { isId } from '../../kernel/ids.ts'

/** A mark of a text that only holders of the secret can make. */
export type Mark = (text: string) => Buffer

/** The token of an invitation: the same each time it is written, another when the invitation is sent again. */
export const invitationToken = (mark: Mark, id: string, generation: number): string =>
  `${id}.${generation}.${markOf(mark, id, generation).toString('base64url')}`

/** What a token claims to be; undefined when it is not ours. */
export function readInvitationToken(mark: Mark, token: string): { id: string; generation: number } | undefined {
  const [, id = '', generation = '', signature = ''] = /^([0-9a-f-]{36})\.(\d{1,9})\.([\w-]{43})$/.exec(token) ?? []
  if (!isId(id)) return undefined
  const given = Buffer.from(signature, 'base64url')
  const right = markOf(mark, id, Number(generation))
  return given.length === right.length && timingSafeEqual(given, right)
    ? { id, generation: Number(generation) }
    : undefined
}

const markOf = (mark: Mark, id: string, generation: number): Buffer => mark(`invitation ${id} ${generation}`)
