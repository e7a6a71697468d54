import { forbidden, type Problem } from './errors.ts'
import { newId } from './ids.ts'
import type { Action, Rights } from './rights.ts'

/** Who acts: a person, a key, or the system itself. `id` is null only for the system. */
export interface Actor {
  readonly id: string | null
  readonly type: 'user' | 'api_key' | 'service' | 'import' | 'job' | 'system'
  readonly name: string
  /** The platform operator who acts in a user's name. */
  readonly operator?: { readonly id: string; readonly email: string }
}

/** Whether a program acts, and no person: an API key or a service account. */
export const isMachine = ({ actor }: Pick<Ctx, 'actor'>): boolean =>
  actor.type === 'api_key' || actor.type === 'service'

/** 403 for whom an action on all records of a type is closed; a program is told which scope it takes. */
export function mayNot(ctx: Pick<Ctx, 'actor'>, action: Action, type: string): Problem {
  if (isMachine(ctx)) return forbidden(`This takes a key with the scope ${type}:${action}`)
  return forbidden(`Your role may not ${action} a ${type.replaceAll('_', ' ')}`)
}

/** The two lanes of the event log: what people do, and what imports and bulk calls do. */
export type Lane = 'live' | 'bulk'

/** A platform operator, who runs this installation: he has no tenant, and no record of one is his to read. */
export interface Operator {
  /** Follows from his email, so that it is the same in every process. */
  readonly id: string
  readonly email: string
  readonly sessionId: string
  readonly requestId: string
  readonly ip: string | null
  readonly userAgent: string | null
}

/** For whom and why something is done. It comes first in every call and carries the tenant. */
export interface Ctx {
  readonly tenantId: string
  readonly actor: Actor
  readonly rights: Rights
  readonly sessionId: string | null
  /** Taken over from the caller or made; on every log line and event that the request causes. */
  readonly requestId: string
  /** Made by us, one for each request, bulk call, import or job. UUIDv7. */
  readonly operationId: string
  readonly ip: string | null
  readonly userAgent: string | null
  readonly lane: Lane
}

/** The house itself: what happens by the clock, and what nobody in particular asked for. */
export const system: Actor = { id: null, type: 'system', name: 'ClientForge' }

/** The system acting in a tenant: it may do everything, and is nobody. `cause` says what it does that for, or under which name. */
export function systemCtx(tenantId: string, cause: Partial<Ctx> = {}): Ctx {
  const id = newId()
  return {
    tenantId,
    actor: system,
    rights: { userId: '', role: 'system', scope: () => 'all' },
    sessionId: null,
    requestId: id,
    operationId: id,
    ip: null,
    userAgent: null,
    lane: 'live',
    ...cause,
  }
}
