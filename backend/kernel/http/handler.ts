import type { Ctx, Operator } from '../context.ts'
import type { Database } from '../db/database.ts'
import { forbidden } from '../errors.ts'
import type { SignedIn, SignedInOperator } from './authenticator.ts'
import { once, onceForOperator } from './idempotency.ts'
import type { Key } from './idempotency-key.ts'
import type { Answer, Caller, OperatorRoute, PrivateRoute, Request, Route } from './route.ts'
import { refuseStandIn } from './stand-in.ts'

type Parsed = Request<unknown, unknown, unknown>

/**
 * How a route serves its caller: anybody, a user of a tenant, or a platform operator. Throws 403 for the one whom it does
 * not serve, before his request is read.
 */
export function handlerFor(
  route: Route,
  who: SignedIn | SignedInOperator,
  caller: Caller,
  db: Database,
): (parsed: Parsed) => Promise<Answer> {
  if (route.access === 'public') return (parsed) => route.handle(caller, parsed)
  const { ctx, operator } = who
  if (who.pending && !(route.access === undefined && route.whilePending)) throw who.pending
  if (ctx) refuseStandIn(route, ctx)
  if (route.access === 'operator') {
    if (!operator) throw forbidden('Only platform operators may do this')
    return (parsed) => answerOperator(route, operator, parsed, db)
  }
  if (!operator) {
    route.permit?.(ctx)
    return (parsed) => answerPrivately(route, ctx, parsed, db)
  }
  const { handleOperator } = route
  if (!handleOperator) throw forbidden('Sign in as a user of a tenant: you are signed in as a platform operator')
  return () => handleOperator(operator)
}

async function answerOperator(route: OperatorRoute, operator: Operator, parsed: Parsed, db: Database): Promise<Answer> {
  const work = () => route.handle(operator, parsed)
  const key = keyOf(route, parsed)
  return key ? onceForOperator(db, operator, key, work) : work()
}

async function answerPrivately(route: PrivateRoute, ctx: Ctx, parsed: Parsed, db: Database): Promise<Answer> {
  const key = keyOf(route, parsed)
  return key ? once(db, ctx, key, (joined) => route.handle(joined, parsed)) : route.handle(ctx, parsed)
}

/** The key of a POST that the server keeps; none where the handler does so itself or none is offered. */
function keyOf(route: Route, { idempotencyKey }: Parsed): Key | undefined {
  if (route.method !== 'post' || (route.idempotency ?? 'transaction') !== 'transaction') return undefined
  return idempotencyKey()
}
