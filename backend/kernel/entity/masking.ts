import { Problem } from '../errors.ts'
import { type Answer, JsonText, type PrivateRoute, type Route } from '../http/route.ts'
import type { Rights } from '../rights.ts'
import type { Mask } from '../sight.ts'
import { createMaskFinder } from './mask-finder.ts'
import type { Registry } from './registry.ts'

/**
 * Takes the members that a caller's role hides out of every answer. How an answer is masked follows from the schema that
 * its route declares; throws when of a part of one nothing says whether it holds members of records, so that no route can
 * forget it.
 */
export function masking(registry: Registry, routes: readonly Route[]): Route[] {
  const find = createMaskFinder(registry)
  const unsaid: string[] = []
  const done = routes.map((route) => {
    if (route.access === 'public' || route.access === 'operator') return route
    const { handle, method, path, responses } = route as PrivateRoute
    const masks = new Map<number, Mask | null>()
    for (const [status, { schema, type, apart }] of Object.entries(responses)) {
      const found = schema ? find(schema) : { mask: null, unsaid: type && !apart ? [''] : [] }
      unsaid.push(
        ...found.unsaid.map(
          (place) => `${method.toUpperCase()} ${path} ${status}: ${place.replace(/^\./, '') || type || 'all'}`,
        ),
      )
      masks.set(Number(status), found.mask)
    }
    return {
      ...(route as PrivateRoute),
      handle: async (ctx, request) => {
        const answer = await handle(ctx, request).catch((error: unknown) => {
          throw maskedProblem(error, ctx.rights)
        })
        const mask = masks.get(answer.status)
        if (mask === undefined && answer.body !== undefined)
          throw new Error(`${method.toUpperCase()} ${path} answered ${answer.status}, which it does not declare`)
        return mask && ctx.rights.fields ? maskedAnswer(answer, ctx.rights, mask) : answer
      },
    } satisfies Route
  })
  if (unsaid.length > 0) throw new Error(`${refusal}\n${unsaid.join('\n')}`)
  return done
}

const refusal =
  'Nothing says whether these parts of answers hold members of records, which roles may hide. Let their schemas say so (backend/kernel/sight.ts): by a mask, as an excerpt of a record, or as apart from records:'

/** A problem with what it tells of records, as far as somebody sees it. */
function maskedProblem(error: unknown, rights: Rights): unknown {
  if (!(error instanceof Problem) || Object.keys(error.told).length === 0) return error
  const { status, code, message, errors, headers, told } = error
  const shown = Object.entries(told).map(([name, { value, mask }]) => [name, mask(rights, value)])
  const extra = { ...error.extra, ...Object.fromEntries(shown) }
  return new Problem(status, code, message, {
    ...(errors ? { errors } : {}),
    headers: { ...headers },
    extra,
    cause: error,
  })
}

function maskedAnswer(answer: Answer, rights: Rights, mask: Mask): Answer {
  const { body } = answer
  if (body === undefined) return answer
  return { ...answer, body: mask(rights, body instanceof JsonText ? JSON.parse(body.json) : body) }
}
