import { openEmail } from './adapters/email/index.ts'
import { openFiles } from './adapters/files/index.ts'
import { openJobs } from './adapters/jobs/index.ts'
import { openRates } from './adapters/limits/index.ts'
import type { Config } from './config.ts'
import { createCustomFields } from './entities/custom-fields/custom-field.queries.ts'
import { addProductLines } from './entities/deals/line-item.actions.ts'
import { createEntities } from './entities/index.ts'
import { task } from './entities/tasks/task.entity.ts'
import { plansWith } from './entities/tenants/plans.ts'
import { createStandings, holdingTenants } from './entities/tenants/standing.ts'
import { createCatalogue } from './events.ts'
import { systemCtx } from './kernel/context.ts'
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
import { withBearers } from './kernel/http/authenticator.ts'
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
import { createSecrets } from './kernel/secrets.ts'
import { accessModule } from './modules/access/access.module.ts'
import { signedIn, signInSchema } from './modules/auth/answers.ts'
import { createAttempts } from './modules/auth/attempts.ts'
import { proveMember, signInMember, startSession } from './modules/auth/auth.actions.ts'
import { authModule } from './modules/auth/auth.module.ts'
import { provedByBearer } from './modules/auth/bearer.ts'
import type { AuthDeps } from './modules/auth/deps.ts'
import { render } from './modules/auth/mails/letter.ts'
import { createOperators } from './modules/auth/operators.ts'
import { createPrincipals } from './modules/auth/principals.ts'
import { accessTokenSeconds, createTokens } from './modules/auth/tokens.ts'
import { contactingModule } from './modules/contacting/contacting.module.ts'
import { seedDemo } from './modules/demo/demo.ts'
import { mountDocs } from './modules/docs/docs.ts'
import { alikeOf, duplicatesModule } from './modules/duplicates/duplicates.module.ts'
import { exportFilesAmong } from './modules/exports/export.queries.ts'
import { exportsModule } from './modules/exports/exports.module.ts'
import { filesModule } from './modules/files/files.module.ts'
import { handoverModule } from './modules/handover/handover.module.ts'
import { healthModule } from './modules/health/health.module.ts'
import { partsOf } from './modules/health/parts.ts'
import { importFilesAmong } from './modules/imports/import.queries.ts'
import { importsModule } from './modules/imports/imports.module.ts'
import { invitationsModule } from './modules/invitations/invitations.module.ts'
import { completedJobs, forgetCompleted } from './modules/jobs/completed.ts'
import { jobsModule } from './modules/jobs/jobs.module.ts'
import { limitsModule } from './modules/limits/limits.module.ts'
import { liveModule } from './modules/live/live.module.ts'
import { gated } from './modules/machines/gate.ts'
import { machinesModule } from './modules/machines/machines.module.ts'
import { mergingModule } from './modules/merging/merging.module.ts'
import { notificationsModule } from './modules/notifications/notifications.module.ts'
import { oidcModule } from './modules/oidc/oidc.module.ts'
import { platformModule } from './modules/platform/platform.module.ts'
import { presenceModule } from './modules/presence/presence.module.ts'
import { purgeModule } from './modules/purge/purge.module.ts'
import { remindersModule } from './modules/reminders/reminders.module.ts'
import { rottingModule } from './modules/rotting/rotting.module.ts'
import { scoringModule } from './modules/scoring/scoring.module.ts'
import { searchModule } from './modules/search/search.module.ts'
import { tenantsModule } from './modules/tenants/tenants.module.ts'
import { activityOf } from './modules/timeline/activity.ts'
import { timelineModule } from './modules/timeline/timeline.module.ts'

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
  const wake = createWake(direct, log)
  const bus = createBus(log)
  const tail = createTail(db.worker, wake, log)
  const tokens = createTokens(config.jwtSecret)
  const operators = createOperators({ db, tokens, log, configured: config.platformAdmin })
  const principals = createPrincipals(db, tokens, operators)
  const plans = plansWith(config.plans)
  const standings = createStandings((tenantId) => db.tenant(systemCtx(tenantId)), plans)
  const customFields = createCustomFields(db)
  const entities = createEntities(db, customFields)
  const nouns = entities.registry.entities
  const catalogue = createCatalogue(nouns)
  let listening = ''
  const base = () => config.publicUrl?.replace(/\/+$/, '') ?? listening
  const rightsOfUser = async (tenantId: string, id: string) =>
    (await principals.rightsOf([{ tenantId, id }]))({ tenantId, id })
  const machines = machinesModule({
    db,
    log,
    secret: config.jwtSecret,
    resources: [...nouns.keys(), 'comment'],
    rightsOf: rightsOfUser,
  })
  const users = entities.repository('user')
  const secureCookies = config.publicUrl?.startsWith('https:') ?? false
  const { registration, defaultPlan } = config
  const { email } = await openEmail({ ...config.email, storageDir: config.storageDir, log })
  const secrets = createSecrets([config.encryptionKey, ...config.oldEncryptionKeys])
  const accounts: AuthDeps = {
    db,
    tokens,
    users,
    operators,
    defaultPlan,
    attempts: createAttempts(db),
    secrets,
    base,
    origins: config.corsOrigins,
  }
  const oidc = oidcModule({
    db,
    log,
    users,
    issuers: config.issuers,
    base,
    secureCookies,
    rightsOf: rightsOfUser,
    signInSchema,
    signIn: async (caller, known, cookie) =>
      signedIn(200, await signInMember(accounts, caller, known), cookie, { secureCookies }),
  })
  const authenticator = holdingTenants(withBearers(principals, [...machines.bearers, oidc.bearer]), standings)
  const forget: typeof principals.forget = (events) => {
    for (const one of [principals, standings, machines, oidc.bearer]) one.forget(events)
    for (const event of events) if (event.type === 'custom_field') customFields.forget(event.tenantId)
  }
  db.onCommit((events) => {
    for (const event of events) bus.emit(event)
    wake.committed()
  })
  // This process drops its caches at the commit; what others changed comes through the tail.
  bus.on('*.*', (event) => forget([event]))
  tail.listen(forget)

  const store = openFiles({ storageDir: config.storageDir, secret: config.jwtSecret, base })
  const search = searchModule({ db, log, entities: nouns })
  const notifications = notificationsModule({ db, log, entities: nouns, rightsOf: principals.rightsOf })
  const timeline = timelineModule({ db, log, entities: nouns, catalogue, keepMonths: config.timelineKeepMonths })
  const auth = authModule({ ...accounts, email, registration, secureCookies, types: [...nouns.keys()] })
  const duplicates = duplicatesModule({ db, entities: nouns, repository: entities.repository })
  const rightsOf = async (tenantId: string, id: string) =>
    (await rightsOfUser(tenantId, id)) ?? machines.rightsOf(tenantId, id)
  const imports = importsModule({
    db,
    files: store.files,
    registry: entities.registry,
    customFields,
    repository: entities.repository,
    importable: entities.tabular,
    addLines: (tx, lines) => addProductLines(tx, entities, lines),
    rightsOf,
  })
  const exports = exportsModule({
    db,
    files: store.files,
    registry: entities.registry,
    customFields,
    exportable: entities.tabular,
    list: (type) => entities.list(type, search.find),
    rightsOf,
  })
  const counter = createRateCounter()
  const rates = openRates({ redisUrl: config.redisUrl, worker: db.worker, log })
  const limits = limitsModule({ db, log, counter, store: rates })
  const tenants = tenantsModule({
    db,
    plans,
    defaultPlan,
    users,
    accessToken: ({ userId, tenantId, role, sessionId }) =>
      tokens.issueAccess({ sub: userId, tid: tenantId, role, sid: sessionId }),
    accessSeconds: accessTokenSeconds,
  })
  const invitations = invitationsModule({
    db,
    users,
    plans,
    mark: tokens.mark,
    base,
    post: async (id, to, letter) => void (await email.send({ id, to, ...render(to.name, letter) })),
    prove: (caller, credentials) => proveMember(accounts, caller, credentials),
    provedBy: (caller) => provedByBearer(db, authenticator, caller),
    startSession: (tx, accountId, userId, caller, factor) =>
      startSession(accounts, tx, accountId, userId, caller, factor),
    signInSchema,
    signedIn: (signIn, cookie) => signedIn(200, signIn, cookie, { secureCookies }),
  })
  const online = presenceModule({ db, log, woken: () => wake.committed() })
  const consumers: readonly Module[] = [
    tenants,
    invitations,
    online.module,
    handoverModule({ db, entities: nouns, repository: entities.repository }),
    timeline,
    search.module,
    notifications.module,
    rottingModule({ db }),
    remindersModule({ db, task }),
    contactingModule({ db, repository: entities.repository }),
    purgeModule({ db, entities: entities.restorable }),
    scoringModule({ db, repository: entities.repository }),
    duplicates,
    mergingModule({ db, entities: nouns, repository: entities.repository }),
    imports,
    exports,
    filesModule({
      files: store.files,
      needed: {
        imports: (keys) => importFilesAmong(db.worker, keys),
        exports: (keys) => exportFilesAmong(db.worker, keys),
      },
    }),
    accessModule({ db, entities: nouns, repository: entities.repository, rightsOf: principals.rightsOf }),
  ]
  const completed = completedJobs(engine, db)
  const schedules = [
    ...logSchedules(db),
    forgetCompleted(completed),
    ...[auth, machines.module, oidc.module, limits, ...consumers].flatMap((module) => module.schedules ?? []),
    ...(extra.schedules ?? []),
  ]
  const jobs = jobsModule({
    engine,
    db,
    log,
    jobs: [...[auth, ...consumers].flatMap((module) => module.jobs ?? []), ...(extra.jobs ?? [])],
    schedules,
    working: config.role !== 'web',
  })
  const platform = platformModule({
    engine,
    schedules,
    cleanCompleted: completed.clean,
    operators,
    log,
    secureCookies,
    publicUrl: config.publicUrl,
  })
  const subscribed = [
    ...entities.subscriptions,
    ...[...consumers, jobs].flatMap((module) => module.subscriptions ?? []),
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
    ...entities.routes(search.find, alikeOf(nouns)),
    ...[auth, machines.module, oidc.module, ...consumers, jobs, platform, health].flatMap(
      (module) => module.routes ?? [],
    ),
    ...store.routes,
  ]
  const masked = masking(entities.registry, redirecting(db, entities.registry, offered))
  const routes = gated(masked, (segment) => entities.registry.byPath(segment)?.type)
  const document = lazily(() => JSON.stringify(openApiDocument(routes, description)))
  const server = createServer({
    routes,
    authenticator,
    db,
    log,
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
    db,
    log,
    entities: nouns,
    tail,
    authenticator,
    server,
    corsOrigins: config.corsOrigins,
    addressOf: createAddressOf(config.trustProxy),
    activityOf: (event) => activityOf(event, catalogue),
    inbox: notifications.inbox,
    presence: online.presence,
  })
  const modules: readonly Module[] = [auth, limits, ...consumers, jobs, live]
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
      for (const module of [auth, limits, ...consumers].reverse()) await module.stop?.()
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
