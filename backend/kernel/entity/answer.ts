import { etagOf, noneMatches } from '../http/etag.ts'
import { type Answer, JsonText } from '../http/route.ts'
import type { Stored } from './repository.ts'

/** A bare record with its validator. */
export const recordAnswer = (stored: Stored): Answer => ({
  status: 200,
  body: new JsonText(stored.json),
  headers: { ETag: etagOf(stored.version) },
})

/** A bare record, or 304 when the caller has this version. */
export function answerRecord(stored: Stored, ifNoneMatch: string | undefined): Answer {
  const answer = recordAnswer(stored)
  return noneMatches(ifNoneMatch, stored.version) ? { status: 304, headers: answer.headers ?? {} } : answer
}
