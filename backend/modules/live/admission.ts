import type { IncomingMessage } from 'node:http'
import type { ExtendedError, Server, Socket } from 'socket.io'
import { z } from 'zod'
import { Problem, unauthenticated } from '../../kernel/errors.ts'
import type { Authenticator, SignedIn } from '../../kernel/http/authenticator.ts'
import type { Caller } from '../../kernel/http/route.ts'
import { newId } from '../../kernel/ids.ts'
import type { Logger } from '../../kernel/log.ts'
import { type EventId, parseEventId } from './place.ts'

/** A socket whose token was good. */
export interface Admitted {
  readonly token: string
  readonly caller: Caller
  readonly signedIn: SignedIn
  /** The last message of an earlier connection; `unknown` when it is no event id of ours. */
  readonly after: EventId | 'unknown' | null
  /** What `doubts()` was before the token was checked. */
  readonly doubts: number
}

/** Lets in only sockets with a good token; what is known of one that was let in. */
export function admitWithToken(
  io: Server,
  deps: {
    authenticator: Authenticator
    log: Logger
    addressOf(request: IncomingMessage): string | null
    doubts(): number
  },
): (socket: Socket) => Admitted | undefined {
  const admitted = new WeakMap<Socket, Admitted>()
  io.use((socket, next) => {
    admit(socket, deps).then(
      (found) => {
        admitted.set(socket, found)
        next()
      },
      (error: unknown) => next(refusal(error, deps.log)),
    )
  })
  return (socket) => admitted.get(socket)
}

// Other members are no concern of ours: clients of Socket.IO add some of their own.
const handshakeSchema = z.object({ token: z.string().min(1).max(8192), after: z.unknown().optional() })

async function admit(
  socket: Socket,
  {
    authenticator,
    addressOf,
    doubts,
  }: { authenticator: Authenticator; addressOf(request: IncomingMessage): string | null; doubts(): number },
): Promise<Admitted> {
  const before = doubts()
  const given = handshakeSchema.safeParse(socket.handshake.auth)
  if (!given.success) throw unauthenticated('Send a valid access token as auth.token')
  const { token, after } = given.data
  const caller = callerOf(socket, addressOf(socket.request))
  const signedIn = await authenticator.authenticate(token, caller)
  const nothing = after === undefined || after === null || after === ''
  return { token, caller, signedIn, after: nothing ? null : (parseEventId(after) ?? 'unknown'), doubts: before }
}

function callerOf(socket: Socket, ip: string | null): Caller {
  const userAgent = socket.handshake.headers['user-agent']?.slice(0, 512) ?? null
  return { requestId: newId(), ip, userAgent, header: () => undefined }
}

function refusal(error: unknown, log: Logger): ExtendedError {
  if (!(error instanceof Problem)) log.error({ err: error }, 'a socket could not be let in')
  const told = error instanceof Problem ? error : new Problem(503, 'UNAVAILABLE', 'Try again in a moment')
  return Object.assign(new Error(told.message), { data: { code: told.code, detail: told.message } })
}
