import { openEmail } from './adapters/email/index.ts'
import { openFiles } from './adapters/files/index.ts'
import { openJobs } from './adapters/jobs/index.ts'
import { openRates } from './adapters/limits/index.ts'
import type { Config } from './config.ts'
import { createCustomFields } from './entities/custom-fields/custom-field.queries.ts'
import { createEntities } from './entities/index.ts'
import { plansWith } from './entities/tenants/plans.ts'
import { createCatalogue } from './events.ts'
import { type ConnectedDatabase, connectDatabase } from './kernel/db/connect.ts'
import { masking } from './kernel/entity/masking.ts'
import { redirecting } from './kernel/entity/redirect.ts'
import { createBus } from './kernel/events/bus.ts'
import type { Subscription } from './kernel/events/subscription.ts'
import { createSubscriptions } from './kernel/events/subscriptions.ts'
import { createTail } from './kernel/events/tail.ts'
import { logSchedules, makeEventPartitions } from './kernel/events/upkeep.ts'
import { createWake } from './kernel/events/wake.ts'
import { createAddressOf } from './kernel/http/address.ts'
import { listen } from './kernel/http/listen.ts'
import { openApiDocument } from './kernel/http/openapi.ts'
import { createRateCounter } from './kernel/http/rate-counter.ts'
import { createRateLimits } from './kernel/http/rate-limit.ts'
import type { Route } from './kernel/http/route.ts'
import { createServer } from './kernel/http/server.ts'
import type { Job, Schedule } from './kernel/jobs/job.ts'
import type { Logger } from './kernel/log.ts'
import type { Module } from './kernel/module.ts'
import { createMetricReadings } from './kernel/readings.ts'
import { openOperatorPage } from './modules/auth/operators.ts'
import { seedDemo } from './modules/demo/demo.ts'
import { mountDocs } from './modules/docs/docs.ts'
import { alikeOf } from './modules/duplicates/duplicates.module.ts'
import { healthModule } from './modules/health/health.module.ts'
import { partsOf } from './modules/health/parts.ts'
import { createIdentity, type Identity } from './modules/identity.ts'
import { createModules } from './modules/index.ts'
import { completedJobs, forgetCompleted } from './modules/jobs/completed.ts'
import { jobsModule } from './modules/jobs/jobs.module.ts'
import { liveModule } from './modules/live/live.module.ts'
import { gated } from './modules/machines/gate.ts'
import { platformModule } from './modules/platform/platform.module.ts'
import { activityOf } from './modules/timeline/activity.ts'

/** The whole of a process while it runs. */
export interface App {
  /** Where it listens: `http://127.0.0.1:3000`. */
  readonly url: string
  readonly routes: readonly Route[]
  readonly subscriptions: readonly Subscription[]
  readonly database: ConnectedDatabase
  /** Makes the demo tenant, or what of it is missing; gives the email of its owner. */
  seedDemo(password: string): Promise<{ email: string; created: number }>
  /** Called again, it waits for the same end. */
  stop(): Promise<void>
}

/** What a caller may add: a database that is connecting already, and what a test wants done. */
export interface Extra {
  readonly database?: Promise<ConnectedDatabase>
  readonly subscriptions?: readonly Subscription[]
  readonly jobs?: readonly Job[]
  readonly schedules?: readonly Schedule[]
}

/** The composition root: connects the database, builds every part, hands them to each other, and listens. */
export async function startApp(config: Config, log: Logger, extra: Extra = {}): Promise<App> {
  const database = await (extra.database ?? connectDatabase({ ...config.database, storageDir: config.storageDir, log }))
  const { db, direct } = database
  const engine = await openJobs({
    redisUrl: config.redisUrl,
    ownerUrl: database.ownerUrl,
    workerUrl: database.listenUrl,
    workerRole: `${config.database.rolePrefix}worker`,
    log,
  })
  const { email } = await openEmail({ ...config.email, storageDir: config.storageDir, log })
  const wake = createWake(direct, log)
  const bus = createBus(log)
  const tail = createTail(db.worker, wake, log)
  const customFields = createCustomFields(db)
  const entities = createEntities(db, customFields)
  const nouns = entities.registry.entities
  const catalogue = createCatalogue(nouns)
  const plans = plansWith(config.plans)
  let listening = ''
  const base = () => config.publicUrl?.replace(/\/+$/, '') ?? listening
  const secureCookies = config.publicUrl?.startsWith('https:') ?? false
  const store = openFiles({ storageDir: config.storageDir, secret: config.jwtSecret, base })
  const identity = createIdentity(
    { db, log, email, users: entities.repository('user'), plans, types: [...nouns.keys()], base, secureCookies },
    config,
  )
  const { authenticator } = identity
  const { operators, tokens } = identity.accounts
  const forget: Identity['forget'] = (events) => {
    identity.forget(events)
    for (const event of events) if (event.type === 'custom_field') customFields.forget(event.tenantId)
  }
  db.onCommit((events) => {
    for (const event of events) bus.emit(event)
    wake.committed()
  })
  // This process drops its caches at the commit; what others changed comes through the tail.
  bus.on('*.*', (event) => forget([event]))
  tail.listen(forget)

  const counter = createRateCounter()
  const { all, find, inbox, presence } = createModules({
    ...{ db, log, entities, customFields, catalogue, identity, plans, store, email, counter, base, secureCookies },
    rates: openRates({ redisUrl: config.redisUrl, worker: db.worker, log }),
    woken: () => wake.committed(),
    timelineKeepMonths: config.timelineKeepMonths,
  })
  const completed = completedJobs(engine, db)
  const schedules = [
    ...logSchedules(db),
    forgetCompleted(completed),
    ...all.flatMap((module) => module.schedules ?? []),
    ...(extra.schedules ?? []),
  ]
  const jobs = jobsModule({
    engine,
    db,
    log,
    jobs: [...all.flatMap((module) => module.jobs ?? []), ...(extra.jobs ?? [])],
    schedules,
    working: config.role !== 'web',
  })
  const platform = platformModule({
    ...{ engine, schedules, operators, log, secureCookies },
    cleanCompleted: completed.clean,
    openPage: (caller, credentials) => openOperatorPage(identity.accounts, caller, credentials),
    publicUrl: config.publicUrl,
  })
  const subscribed = [
    ...entities.subscriptions,
    ...[...all, jobs].flatMap((module) => module.subscriptions ?? []),
    ...(extra.subscriptions ?? []),
  ]
  const subscriptions = createSubscriptions({ db, direct, wake, log }, subscribed)
  let draining = false
  const health = healthModule({
    metricsToken: config.metricsToken,
    ready: async () => !draining && (await database.answers()),
    parts: () => partsOf({ database, tail, subscriptions, modules }),
  })
  const offered: Route[] = [
    ...entities.routes(find, alikeOf(nouns)),
    ...[...all, jobs, platform, health].flatMap((module) => module.routes ?? []),
    ...store.routes,
  ]
  const masked = masking(entities.registry, redirecting(db, entities.registry, offered))
  const routes = gated(masked, (segment) => entities.registry.byPath(segment)?.type)
  const document = lazily(() => JSON.stringify(openApiDocument(routes, description)))
  const server = createServer({
    ...{ routes, authenticator, db, log },
    mark: tokens.mark,
    corsOrigins: config.corsOrigins,
    trustProxy: config.trustProxy,
    limits: config.rateLimits ? createRateLimits(counter, quotas) : undefined,
    mount: (app) => {
      mountDocs(app, document)
      platform.mount(app)
    },
    observe: (request) => health.observe(request),
  })
  const live = liveModule({
    ...{ db, log, tail, authenticator, server, inbox, presence },
    entities: nouns,
    corsOrigins: config.corsOrigins,
    addressOf: createAddressOf(config.trustProxy),
    activityOf: (event, rules) => activityOf(event, catalogue, nouns.get(event.type), rules),
  })
  const modules: readonly Module[] = [...all, jobs, live]
  health.show([...createMetricReadings(db, subscriptions), ...modules.flatMap((module) => module.readings ?? [])])

  await makeEventPartitions(db)
  await tail.start()
  for (const module of modules) await module.start?.()
  if (config.role !== 'web') subscriptions.start()
  const url = await listen(server, config)
  listening = url
  return {
    url,
    routes,
    subscriptions: subscribed,
    database,
    seedDemo: (password) => seedDemo({ db, repository: entities.repository }, password),
    stop: lazily(async () => {
      draining = true
      const worked = subscriptions.stop().then(() => jobs.stop?.())
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeIdleConnections()
      await live.stop?.()
      const patience = setTimeout(() => server.closeAllConnections(), 5_000)
      await closed
      clearTimeout(patience)
      await worked
      for (const module of all.toReversed()) await module.stop?.()
      wake.stop()
      await tail.stop()
      await database.close()
    }),
  }
}

/** Calls a minute. Sign-ins are dear, as passwords are hashed on purpose slowly. */
const quotas = { address: 300, user: 6_000 }

const description = {
  title: 'ClientForge',
  version: '1',
  description:
    'A self-hosted CRM backend. Sign in at `/api/v1/auth/login`, send the access token as `Authorization: Bearer`.',
}

function lazily<T>(make: () => T): () => T {
  let made: T | undefined
  return () => {
    made ??= make()
    return made
  }
}
