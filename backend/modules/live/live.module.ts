import type { Server as HttpServer, IncomingMessage } from 'node:http'
import type { Ctx } from '../../kernel/context.ts'
import type { Database } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import { readHorizon } from '../../kernel/events/log.ts'
import type { Tail } from '../../kernel/events/tail.port.ts'
import type { Authenticator, SignedIn } from '../../kernel/http/authenticator.ts'
import { newId } from '../../kernel/ids.ts'
import type { Logger } from '../../kernel/log.ts'
import type { Module } from '../../kernel/module.ts'
import type { FieldRules } from '../../kernel/rights.ts'
import { admitWithToken } from './admission.ts'
import { readAhead, readWaiting } from './ahead.ts'
import { type Client, createClients } from './client.ts'
import { acceptWith, type PresenceHere, serveConnections } from './connection.ts'
import { createControl, type Reason } from './control.ts'
import { createDelivery } from './delivery.ts'
import { createFollows } from './follows.ts'
import { createHub } from './hub.ts'
import { messagesOf } from './messages.ts'
import { createRecheck } from './recheck.ts'
import { createReplay } from './replay.ts'
import { answerRequests } from './requests.ts'
import { createResume } from './resume.ts'
import { createSocketServer } from './server.ts'
import { createTopics } from './topics.ts'

/** What the sockets are made of. */
export interface LiveDeps {
  readonly db: Database
  readonly log: Logger
  readonly entities: ReadonlyMap<string, Entity>
  /** Must have started before this module starts. */
  readonly tail: Tail
  readonly authenticator: Authenticator
  readonly server: HttpServer
  readonly corsOrigins: readonly string[]
  /** The address of who opens a socket, past the proxies in front of us. */
  addressOf(request: IncomingMessage): string | null
  /** With rules, as those see it who see the record by them. */
  activityOf(event: DomainEvent, rules?: FieldRules): Record<string, unknown> | null
  readonly presence: PresenceHere
  readonly inbox: { unreadCount(ctx: Ctx): Promise<number>; markRead(ctx: Ctx, id: string): Promise<unknown> }
}

/** The WebSocket at `/ws`: tells people what happens while they look. */
export function liveModule(deps: LiveDeps): Module {
  const { db, log, entities, tail, authenticator, server, corsOrigins, addressOf, activityOf, inbox, presence } = deps
  const sources = { entities, activityOf }
  const messages = (event: DomainEvent) => messagesOf(sources, event)
  const clients = createClients()
  const topics = createTopics()
  const sockets = createSocketServer(corsOrigins)
  const { io } = sockets
  const authenticate = (client: Client, token = client.token): Promise<SignedIn> =>
    authenticator.authenticate(token, { ...client.caller, requestId: newId() })

  const hub = createHub({
    log,
    readAhead: (events, beyond) => readAhead(db.worker, events, beyond),
    deliver: (items) => delivery.deliver(items),
  })
  const control = createControl(hub)
  const close = (client: Client, reason: Reason): void => control.close(client, reason)
  const delivery = createDelivery({
    io,
    log,
    clients,
    topics,
    messagesOf: messages,
    hub,
    unreadCount: (ctx) => inbox.unreadCount(ctx),
    close,
  })
  const { hold } = delivery
  const replay = createReplay({ db: db.worker, tail, hub, messagesOf: messages })
  const resume = createResume({ hub, replay, control, hold })
  const catchUp = (client: Client): void => resume.catchUp(client)
  const follows = createFollows({ db, entities, topics, authenticate, catchUp })
  const accept = acceptWith(follows, control)
  const recheck = createRecheck({ clients, hold, authenticate, accept, close })
  const markRead = (ctx: Ctx, id: string): Promise<unknown> => inbox.markRead(ctx, id)
  const request = answerRequests({ log, follows, authenticate, accept, close, markRead })
  const admitted = admitWithToken(io, { authenticator, log, addressOf, doubts: () => recheck.doubts })

  tail.listen((events) => {
    recheck.hear(events)
    hub.accept(events)
  })

  return {
    name: 'live',
    start: async () => {
      const from = { tx: String(BigInt(await readHorizon(db.worker)) - 1n), seq: '9223372036854775807' }
      hub.start(from, await readWaiting(db.worker, from))
      serveConnections(io, { log, clients, follows, hub, control, recheck, resume, admitted, presence, request })
      sockets.open(server)
    },
    stop: () =>
      sockets.close(() => {
        for (const client of clients.all()) control.close(client, 'server_stopping')
        return clients
      }),
    readings: [
      {
        name: 'clientforge_sockets',
        help: 'Sockets that are connected to this process',
        read: async () => [{ value: clients.size }],
      },
    ],
    health: () => ({ status: 'up', detail: { sockets: clients.size } }),
  }
}
