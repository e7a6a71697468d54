import express, { type RequestHandler } from 'express'
import type { ZodType, z } from 'zod'
import { invalid, invalidMember, type MemberError, Problem } from '../errors.ts'

const limit = 1024 * 1024

/** Reads a body of up to 1 MiB as bytes; what it is is decided by {@link parseBody}. */
export const rawBody: RequestHandler = express.raw({ type: () => true, limit })

/** JSON of the bytes. Throws 415 for another type, 400 for what is no JSON in UTF-8. */
export function parseBody(bytes: unknown, contentType: string | undefined): unknown {
  if (!Buffer.isBuffer(bytes) || bytes.length === 0) return undefined
  if (!/^application\/(json|[\w.-]+\+json)\s*(;\s*charset=("?)utf-8\3\s*)?$/i.test(contentType ?? '')) {
    throw new Problem(415, 'UNSUPPORTED_MEDIA_TYPE', 'Send the body as application/json in UTF-8')
  }
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    throw new Problem(400, 'MALFORMED_JSON', 'The body is not UTF-8')
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new Problem(400, 'MALFORMED_JSON', 'The body is not JSON', { cause: error })
  }
  // Only a text that spells it, or has an escape that could, is looked through.
  if (/__proto__|\\u00/.test(text)) refuseProto(value)
  return value
}

/** Schemas of free keys drop `__proto__` without a word; no request has such a member. Without recursion, for depth. */
function refuseProto(body: unknown): void {
  const open: { value: unknown; path: string }[] = [{ value: body, path: '' }]
  for (let next = open.pop(); next; next = open.pop()) {
    if (typeof next.value !== 'object' || next.value === null) continue
    for (const [key, value] of Object.entries(next.value)) {
      // Beyond this depth nothing is a member of ours, and paths would grow with the square of it.
      const path = next.path.length > 1_000 ? next.path : next.path === '' ? key : `${next.path}.${key}`
      if (key === '__proto__') throw invalidMember(path, 'is not a member of this request', 'unrecognized_keys')
      open.push({ value, path })
    }
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Parses a part of a request; 400 names each member that is wrong, as the caller wrote it. */
export function parsePart(schema: ZodType, value: unknown): unknown {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw invalid(result.error.issues.flatMap((issue) => errorsOf(issue, [])))
}

function errorsOf(issue: z.core.$ZodIssue, above: readonly PropertyKey[]): MemberError[] {
  const path = [...above, ...issue.path]
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: [...path, key].join('.'),
      message: 'is not a member of this request',
      code: issue.code,
    }))
  }
  // Of what may be one or a list, the caller is told of the one that he sent.
  const meant = issue.code === 'invalid_union' ? issue.errors.filter((issues) => !issues.some(isOfTheWhole)) : []
  if (meant.length === 1 && meant[0]) return meant[0].flatMap((inner) => errorsOf(inner, path))
  return [{ path: path.join('.'), message: issue.message, code: issue.code }]
}

const isOfTheWhole = ({ code, path }: z.core.$ZodIssue): boolean => code === 'invalid_type' && path.length === 0
