import { z } from 'zod'
import { type Ctx, isMachine } from '../../kernel/context.ts'
import { forbidden, notFound, Problem } from '../../kernel/errors.ts'
import type { SignedIn } from '../../kernel/http/authenticator.ts'
import { isId, newId } from '../../kernel/ids.ts'
import type { Logger } from '../../kernel/log.ts'
import { type Client, listenerOf } from './client.ts'
import type { Reason } from './control.ts'
import type { Follows } from './follows.ts'
import { endOf } from './recheck.ts'

/** What a client can ask for: the schema of its one argument, and what is done; what that gives is done after the answer. */
interface RequestKind<T> {
  readonly schema: z.ZodType<T>
  answer(client: Client, payload: T): Promise<(() => void) | undefined>
}

type Ask = (client: Client, payload: unknown) => Promise<(() => void) | undefined>

/** As many messages at once, and as many more a second. */
export const allowance = { burst: 1_200, aSecond: 50 }

/** Answers what clients send: one after the other for each socket, each with an acknowledgement, whatever it is. */
export function answerRequests(deps: {
  log: Logger
  follows: Follows
  authenticate(client: Client, token?: string): Promise<SignedIn>
  accept(client: Client, signedIn: SignedIn): void
  close(client: Client, reason: Reason): void
  markRead(ctx: Ctx, id: string): Promise<unknown>
}): (client: Client, name: string, args: readonly unknown[]) => void {
  const { log, close } = deps
  const kinds = kindsOf(deps)

  const answer = async (client: Client, name: string, payload: unknown, acknowledge: Acknowledge): Promise<void> => {
    try {
      const ask = kinds.get(name)
      if (!ask) throw new Problem(404, 'NOT_FOUND', 'There is no such request')
      const afterwards = await ask(client, payload)
      acknowledge({ ok: true })
      afterwards?.()
    } catch (error) {
      if (!(error instanceof Problem)) log.error({ err: error, request: name }, 'a request of a socket failed')
      const told = error instanceof Problem ? error : new Problem(500, 'INTERNAL', 'This failed; it has been noted')
      acknowledge({ ok: false, error: { code: told.code, detail: told.message } })
      if (told.status === 401 && name !== 'auth:refresh') close(client, endOf(client))
    }
  }

  return (client, name, args) => {
    const acknowledge = acknowledgeOf(args)
    const payload = args[0] === args.at(-1) && typeof args[0] === 'function' ? undefined : args[0]
    if (!mayAsk(client)) {
      acknowledge({ ok: false, error: { code: 'RATE_LIMITED', detail: 'Send fewer messages a second' } })
      if (client.allowance < -allowance.burst) close(client, 'too_many_messages')
      return
    }
    client.asking++
    client.askedAt = Date.now()
    client.queue = client.queue.then(async () => {
      if (!client.closed) await answer(client, name, payload, acknowledge)
      client.asking--
      client.askedAt = Date.now()
    })
  }
}

const followSchema = z.strictObject({
  type: z.string().min(1).max(64),
  id: z.string().min(1).max(64).optional(),
})

function kindsOf(deps: Parameters<typeof answerRequests>[0]): ReadonlyMap<string, Ask> {
  const { follows, authenticate, accept, markRead } = deps
  return new Map<string, Ask>([
    [
      'subscribe',
      kind({
        schema: followSchema,
        answer: (client, { type, id = null }) => follows.ask(client, { type, id }),
      }),
    ],
    [
      'unsubscribe',
      kind({
        schema: followSchema,
        answer: async (client, { type, id = null }) => {
          follows.end(client, { type, id })
          return undefined
        },
      }),
    ],
    [
      'notification:read',
      kind({
        schema: z.strictObject({ id: z.string().min(1).max(64) }),
        answer: async (client, { id }) => {
          if (!isId(id)) throw notFound()
          const { ctx } = await authenticate(client)
          if (isMachine(ctx)) throw forbidden('Only people have an inbox')
          await markRead({ ...ctx, requestId: newId(), operationId: newId() }, id)
          return undefined
        },
      }),
    ],
    [
      'auth:refresh',
      kind({
        schema: z.strictObject({ token: z.string().min(1).max(8192) }),
        answer: async (client, { token }) => {
          for (;;) {
            const { suspicion } = client
            const signedIn = await authenticate(client, token)
            const { tenantId } = signedIn.ctx
            if (tenantId !== client.tenantId || listenerOf(signedIn.ctx) !== client.userId) {
              throw forbidden('A connection goes on only for the user who opened it; open another')
            }
            if (suspicion !== client.suspicion) continue
            client.token = token
            accept(client, signedIn)
            return undefined
          }
        },
      }),
    ],
  ])
}

function kind<T>({ schema, answer }: RequestKind<T>): Ask {
  return (client, payload) => {
    const given = schema.safeParse(payload)
    if (given.success) return answer(client, given.data)
    const [issue] = given.error.issues
    const detail = issue ? `${issue.path.join('.') || 'the payload'}: ${issue.message}` : 'the payload is not valid'
    return Promise.reject(new Problem(400, 'VALIDATION_FAILED', detail))
  }
}

type Acknowledge = (answer: { ok: true } | { ok: false; error: { code: string; detail: string } }) => void

function acknowledgeOf(args: readonly unknown[]): Acknowledge {
  const last = args.at(-1)
  return typeof last === 'function' ? (answer) => last(answer) : () => {}
}

function mayAsk(client: Client): boolean {
  const now = Date.now()
  const refilled = client.allowance + ((now - client.allowanceAt) / 1000) * allowance.aSecond
  client.allowance = Math.min(allowance.burst, refilled) - 1
  client.allowanceAt = now
  return client.allowance >= 0
}
