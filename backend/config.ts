import { randomBytes } from 'node:crypto'
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { type Issuer, issuersSchema } from './kernel/issuers.ts'

const onOff = z.enum(['on', 'off'])
const postgresUrl = z.string().regex(/^postgres(ql)?:\/\//, 'must begin with postgres://')
const mailbox = z
  .string()
  .regex(/^([^<>@\r\n]*<[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)$/, 'must be an address, or Name <address>')
const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
)

const limitNames = z.enum(['contacts', 'users', 'storageBytes', 'callsPerMinute'])

function readJson(text: string, context: z.RefinementCtx): unknown {
  try {
    return JSON.parse(text)
  } catch {
    context.addIssue('must be JSON')
    return z.NEVER
  }
}

/** Every variable of the environment, declared once: what it may be, what it is when absent, and its sentence for `.env.example`. */
export const environmentSchema = z.object({
  PORT: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(3000)
    .describe('Port on which the API, the sockets, health and metrics are served; 0 takes a free one.'),
  HOST: z
    .string()
    .min(1)
    .optional()
    .describe('Address to listen on. Default: 127.0.0.1 while demo data is on, else all.'),
  PUBLIC_URL: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('How browsers reach this installation, for links and cookies. Default: http://localhost:PORT.'),
  NODE_ENV: z.enum(['production', 'development', 'test']).default('development').describe('production or development.'),
  ROLE: z
    .enum(['all', 'web', 'worker'])
    .default('all')
    .describe('What this process does: web (HTTP and sockets), worker (subscriptions and maintenance) or all.'),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('trace, debug, info, warn, error or silent.'),
  STORAGE_DIR: z
    .string()
    .min(1)
    .default('storage')
    .describe('Where the embedded database and all local fallbacks keep their data.'),
  DEMO_DATA: onOff
    .optional()
    .describe('Make a demo tenant at the first start. Default: on with the embedded database, else off.'),
  DATABASE_URL: postgresUrl
    .optional()
    .describe("The owner's connection string to PostgreSQL 15 or newer. Without it an embedded PostgreSQL is started."),
  DATABASE_DIRECT_URL: postgresUrl
    .optional()
    .describe('The same database past a pooler, for migrations, advisory locks and LISTEN. Default: DATABASE_URL.'),
  DATABASE_APP_URL: postgresUrl
    .optional()
    .describe("The application role's connection string. Default: derived from DATABASE_URL."),
  DATABASE_WORKER_URL: postgresUrl
    .optional()
    .describe("The worker role's connection string. Default: derived from DATABASE_URL."),
  DATABASE_ROLE_PREFIX: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,40}$/)
    .default('clientforge_')
    .describe('Prefix of the three database roles; two installations on one server need two.'),
  DATABASE_POOL: z.coerce
    .number()
    .int()
    .min(1)
    .max(100)
    .default(10)
    .describe('Connections of the application role in this process.'),
  REDIS_URL: z
    .string()
    .regex(/^rediss?:\/\//, 'must begin with redis:// or rediss://')
    .optional()
    .describe('Redis 6.2 or newer, without eviction, for the queue of jobs. Default: PostgreSQL keeps it.'),
  JWT_SECRET: z
    .string()
    .min(32, 'must have at least 32 characters; make one with: openssl rand -hex 32')
    .optional()
    .describe(
      'Signs tokens; at least 32 characters, shared by all processes. Default: made at the first start and kept in STORAGE_DIR.',
    ),
  ENCRYPTION_KEY: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, 'must be 64 hex digits; make one with: openssl rand -hex 32')
    .optional()
    .describe(
      'Encrypts secrets at rest; 64 hex digits, shared by all processes. Default: made at the first start and kept in STORAGE_DIR.',
    ),
  ENCRYPTION_KEYS_OLD: list
    .default([])
    .refine((keys) => keys.every((key) => /^[0-9a-fA-F]{64}$/.test(key)), 'must be keys of 64 hex digits each')
    .describe(
      'Further keys that open secrets, comma-separated, while scripts/rotate-key.ts changes them for ENCRYPTION_KEY.',
    ),
  REGISTRATION: z
    .enum(['open', 'invite', 'off'])
    .default('open')
    .describe('Who may make a tenant: open (anybody), invite or off.'),
  OIDC_ISSUERS: issuersSchema
    .optional()
    .describe(
      'OpenID issuers whose people sign in here, a JSON list: [{"id","issuer","clientId","clientSecret","tenant" or "tenantClaim","roles","jit","domains","audience","page"}].',
    ),
  DEFAULT_PLAN: z
    .string()
    .min(1)
    .default('unlimited')
    .describe('Plan of a new tenant: free, team, business, unlimited, or one of PLANS.'),
  PLANS: z
    .string()
    .transform(readJson)
    .pipe(z.record(z.string().regex(/^[a-z][a-z0-9-]{0,39}$/), z.partialRecord(limitNames, z.int().min(0).nullable())))
    .optional()
    .describe(
      'Plans beside or instead of the standard ones, as JSON: {"free":{"contacts":500,"users":2,"storageBytes":null,"callsPerMinute":120}}.',
    ),
  PLATFORM_ADMIN_EMAIL: z
    .email()
    .max(320)
    .optional()
    .describe('Email with which whoever runs this installation signs in to /api/v1/admin and /admin/queues.'),
  PLATFORM_ADMIN_PASSWORD: z
    .string()
    .min(12, 'must have at least 12 characters')
    .max(200, 'must have at most 200 characters')
    .optional()
    .describe('His password; at least 12 characters. Without both there is no platform operator.'),
  EMAIL_FROM: mailbox
    .optional()
    .describe('Whom mails come from: ClientForge <crm@example.com>. Required beside SMTP_URL.'),
  EMAIL_REPLY_TO: mailbox.optional().describe('Who gets the answers to mails. Default: EMAIL_FROM.'),
  SMTP_URL: z
    .string()
    .regex(/^smtps?:\/\/[^\s/]/, 'must begin with smtp:// or smtps://')
    .optional()
    .describe('Mail server: smtp://user:password@host:587. Default: mails are written as files into STORAGE_DIR/mail.'),
  TIMELINE_KEEP_MONTHS: z.coerce
    .number()
    .int()
    .min(1)
    .max(1200)
    .optional()
    .describe(
      'For how many full months the timeline keeps what was done; older months are dropped. Default: for ever.',
    ),
  RATE_LIMITS: onOff
    .default('on')
    .describe('Whether calls are limited: by address where people sign in, by user and by plan elsewhere.'),
  METRICS_TOKEN: z.string().min(1).optional().describe('Asked for as a bearer token at /metrics when set.'),
  CORS_ORIGINS: list
    .default([])
    .describe('Origins of browsers that may call the API and the sockets, comma-separated.'),
  TRUST_PROXY: z
    .string()
    .optional()
    .describe('Proxies in front: their number, or addresses and subnets, comma-separated. Default: none.'),
})

/** The configuration of a process, complete and frozen. */
export interface Config {
  readonly port: number
  readonly host: string | undefined
  readonly publicUrl: string | undefined
  readonly production: boolean
  readonly role: 'all' | 'web' | 'worker'
  readonly logLevel: string
  readonly storageDir: string
  readonly demoData: boolean
  readonly database: {
    readonly url: string | undefined
    readonly directUrl: string | undefined
    readonly appUrl: string | undefined
    readonly workerUrl: string | undefined
    readonly rolePrefix: string
    readonly pool: number
    /** Whether an embedded server may forget its last writes when the machine dies: for tests only. */
    readonly durable: boolean
  }
  readonly redisUrl: string | undefined
  readonly jwtSecret: string
  readonly encryptionKey: string
  readonly oldEncryptionKeys: readonly string[]
  readonly registration: 'open' | 'invite' | 'off'
  readonly issuers: readonly Issuer[]
  /** The plan of a new tenant, and plans that differ from the standard ones. */
  readonly defaultPlan: string
  readonly plans: Readonly<Record<string, Readonly<Partial<Record<z.output<typeof limitNames>, number | null>>>>>
  /** Who signs in as the platform operator; undefined when nobody can. */
  readonly platformAdmin: { readonly email: string; readonly password: string } | undefined
  readonly email: {
    readonly from: string
    readonly replyTo: string | undefined
    readonly smtpUrl: string | undefined
  }
  readonly timelineKeepMonths: number | undefined
  readonly rateLimits: boolean
  readonly metricsToken: string | undefined
  readonly corsOrigins: readonly string[]
  readonly trustProxy: number | string | false
}

/** The environment is wrong; the message lists every problem. */
export class ConfigError extends Error {}

/** Reads the environment. Throws {@link ConfigError} with every problem at once; makes the secrets that are left to us. */
export function loadConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([name, value]) => name in environmentSchema.shape && value !== ''),
  )
  const result = environmentSchema.safeParse(given)
  const problems = result.success ? [] : result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
  const shared = given.DATABASE_URL !== undefined && given.NODE_ENV === 'production'
  for (const name of ['JWT_SECRET', 'ENCRYPTION_KEY']) {
    if (shared && given[name] === undefined) {
      problems.push(
        `${name}: is required with DATABASE_URL in production, as all machines must share it; make one with: openssl rand -hex 32`,
      )
    }
  }
  for (const name of ['DATABASE_DIRECT_URL', 'DATABASE_APP_URL', 'DATABASE_WORKER_URL']) {
    if (given[name] !== undefined && given.DATABASE_URL === undefined)
      problems.push(`${name}: is of no use without DATABASE_URL`)
  }
  for (const [name, other] of operatorPair) {
    if (given[name] !== undefined && given[other] === undefined)
      problems.push(`${other}: is required beside ${name}; set both, or neither`)
  }
  if (given.SMTP_URL !== undefined && given.EMAIL_FROM === undefined)
    problems.push('EMAIL_FROM: is required beside SMTP_URL; a mail server takes mails of a known sender only')
  if (!result.success || problems.length > 0)
    throw new ConfigError(`The configuration is wrong:\n  ${problems.join('\n  ')}`)
  const env = result.data
  const storageDir = resolve(env.STORAGE_DIR)
  const demoData = (env.DEMO_DATA ?? (env.DATABASE_URL === undefined ? 'on' : 'off')) === 'on'
  return Object.freeze({
    port: env.PORT,
    host: env.HOST ?? (demoData ? '127.0.0.1' : undefined),
    publicUrl: env.PUBLIC_URL,
    production: env.NODE_ENV === 'production',
    role: env.ROLE,
    logLevel: env.LOG_LEVEL,
    storageDir,
    demoData,
    database: {
      url: env.DATABASE_URL,
      directUrl: env.DATABASE_DIRECT_URL ?? env.DATABASE_URL,
      appUrl: env.DATABASE_APP_URL,
      workerUrl: env.DATABASE_WORKER_URL,
      rolePrefix: env.DATABASE_ROLE_PREFIX,
      pool: env.DATABASE_POOL,
      durable: true,
    },
    redisUrl: env.REDIS_URL,
    jwtSecret: env.JWT_SECRET ?? keptSecret(storageDir, 'jwt-secret'),
    encryptionKey: env.ENCRYPTION_KEY ?? keptSecret(storageDir, 'encryption-key'),
    oldEncryptionKeys: env.ENCRYPTION_KEYS_OLD,
    registration: env.REGISTRATION,
    issuers: env.OIDC_ISSUERS ?? [],
    defaultPlan: env.DEFAULT_PLAN,
    plans: env.PLANS ?? {},
    platformAdmin:
      env.PLATFORM_ADMIN_EMAIL === undefined || env.PLATFORM_ADMIN_PASSWORD === undefined
        ? undefined
        : { email: env.PLATFORM_ADMIN_EMAIL, password: env.PLATFORM_ADMIN_PASSWORD },
    email: {
      from: env.EMAIL_FROM ?? 'ClientForge <clientforge@localhost>',
      replyTo: env.EMAIL_REPLY_TO,
      smtpUrl: env.SMTP_URL,
    },
    timelineKeepMonths: env.TIMELINE_KEEP_MONTHS,
    rateLimits: env.RATE_LIMITS === 'on',
    metricsToken: env.METRICS_TOKEN,
    corsOrigins: env.CORS_ORIGINS,
    trustProxy:
      env.TRUST_PROXY === undefined ? false : /^\d+$/.test(env.TRUST_PROXY) ? Number(env.TRUST_PROXY) : env.TRUST_PROXY,
  })
}

const operatorPair = [
  ['PLATFORM_ADMIN_EMAIL', 'PLATFORM_ADMIN_PASSWORD'],
  ['PLATFORM_ADMIN_PASSWORD', 'PLATFORM_ADMIN_EMAIL'],
] as const

/** A secret of this installation: 32 random bytes in hex, made once and readable by its owner only. */
export function keptSecret(storageDir: string, name: string): string {
  const folder = join(storageDir, 'secrets')
  const file = join(folder, name)
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    // Under another name until it is written: who starts at the same time, or after a crash, must not read half a secret.
    const draft = `${file}.${randomBytes(4).toString('hex')}`
    writeFileSync(draft, randomBytes(32).toString('hex'), { mode: 0o600 })
    try {
      linkSync(draft, file)
    } catch (error) {
      // Another process that starts at the same time was faster; its secret is the one.
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    } finally {
      rmSync(draft)
    }
  }
  return readFileSync(file, 'utf8').trim()
}
