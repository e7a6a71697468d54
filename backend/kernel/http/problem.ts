import { STATUS_CODES } from 'node:http'
import { problemOf } from '../db/problems.ts'
import { Problem } from '../errors.ts'

/** What an error is to a caller; undefined for a defect of ours, which becomes a bare 500. */
export function asProblem(error: unknown): Problem | undefined {
  if (error instanceof Problem) return error
  return problemOf(error) ?? ofExpress(error)
}

/** The body of a problem as JSON. */
export const problemBody = (problem: Problem, instance: string, requestId: string): string =>
  JSON.stringify(problemMembers(problem, instance, requestId))

/** The members of a problem (RFC 9457), the same in the same order each time. */
export function problemMembers(problem: Problem, instance: string, requestId: string): Record<string, unknown> {
  return {
    type: `/problems/${problem.code.toLowerCase().replaceAll('_', '-')}`,
    title: titles[problem.code] ?? sentence(problem.code),
    status: problem.status,
    code: problem.code,
    detail: problem.message,
    instance,
    requestId,
    ...(problem.errors ? { errors: problem.errors } : {}),
    ...problem.extra,
  }
}

/** The problem that a defect of ours is to a caller: nothing of its insides is told. */
export const defect = (): Problem =>
  new Problem(500, 'INTERNAL_ERROR', 'Something went wrong on our side; the request id finds it in the log')

/** Errors that Express and its parsers throw carry a status and a type. */
function ofExpress(error: unknown): Problem | undefined {
  if (!(error instanceof Error) || !('status' in error) || typeof error.status !== 'number') return undefined
  const type = 'type' in error ? String(error.type) : ''
  if (error.status === 413) return new Problem(413, 'PAYLOAD_TOO_LARGE', 'The body must have at most 1 MiB')
  if (error.status === 415)
    return new Problem(415, 'UNSUPPORTED_MEDIA_TYPE', 'Send the body as application/json in UTF-8')
  if (error instanceof URIError) return new Problem(404, 'NOT_FOUND', 'There is nothing here for you')
  if (error.status >= 400 && error.status < 500) {
    const detail = type === 'request.aborted' ? 'The request ended before its body' : 'The request could not be read'
    return new Problem(400, 'MALFORMED_JSON', detail)
  }
  return undefined
}

const titles: Readonly<Record<string, string>> = {
  MALFORMED_JSON: 'Malformed JSON',
}

const sentence = (code: string): string => {
  const words = code.toLowerCase().replaceAll('_', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** The standard phrase of a status. */
export const phraseOf = (status: number): string => STATUS_CODES[status] ?? String(status)
