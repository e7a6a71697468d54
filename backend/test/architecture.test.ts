import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

/**
 * The rings of the house hold. A rule that was never seen to fail may be looking at nothing, so each one first finds
 * a violation planted for it in a small copy of the house, and then none in the real one.
 */

const home = join(import.meta.dirname, '../..')
const cruiser = join(home, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs')

/** An importing file, what it imports, and the rules which must say no to it. Whatever begins with `type` is a type. */
const planted: [from: string, to: string, ...rules: string[]][] = [
  ['backend/kernel/db/entities.ts', 'backend/entities/deals/deal.entity.ts', 'kernel-knows-nobody'],
  ['backend/kernel/db/adapters.ts', 'type backend/adapters/email/email.port.ts', 'kernel-knows-nobody'],
  ['backend/kernel/http/modules.ts', 'backend/modules/auth/auth.module.ts', 'kernel-knows-nobody'],
  ['backend/kernel/http/app.ts', 'type backend/app.ts', 'kernel-knows-nobody'],
  ['backend/kernel/config.ts', 'type backend/config.ts', 'kernel-knows-nobody', 'config-is-handed-over'],
  ['backend/kernel/events/all.ts', 'type backend/events.ts', 'kernel-knows-nobody'],

  ['backend/entities/deals/email.ts', 'type backend/adapters/email/email.port.ts', 'entities-know-the-kernel'],
  ['backend/entities/deals/auth.ts', 'backend/modules/auth/auth.module.ts', 'entities-know-the-kernel'],
  ['backend/entities/deals/events.ts', 'type backend/events.ts', 'entities-know-the-kernel'],
  ['backend/entities/index.ts', 'backend/app.ts', 'entities-know-the-kernel'],
  ['backend/entities/deals/lead.ts', 'backend/entities/leads/lead.actions.ts', 'entities-meet-by-definition'],

  ['backend/adapters/email/deal.ts', 'type backend/entities/deals/deal.entity.ts', 'adapters-know-the-kernel'],
  ['backend/adapters/email/auth.ts', 'backend/modules/auth/auth.module.ts', 'adapters-know-the-kernel'],
  ['backend/adapters/email/files.ts', 'backend/adapters/files/files.port.ts', 'adapters-keep-apart'],

  ['backend/modules/auth/app.ts', 'type backend/app.ts', 'modules-look-inward'],
  ['backend/modules/index.ts', 'backend/app.ts', 'modules-look-inward'],
  ['backend/modules/auth/config.ts', 'backend/config.ts', 'modules-look-inward', 'config-is-handed-over'],
  ['backend/modules/auth/live.ts', 'type backend/modules/live/sockets.ts', 'modules-keep-apart'],
  ['backend/modules/auth/all.ts', 'backend/modules/index.ts', 'modules-keep-apart'],
  ['backend/modules/auth/port.ts', 'backend/modules/live/live.port.ts', 'ports-lend-types'],
  ['backend/modules/auth/events.ts', 'backend/events.ts', 'events-lend-types'],

  ['backend/events.ts', 'backend/entities/leads/lead.entity.ts', 'events-take-types'],
  ['backend/events.ts', 'type backend/modules/live/sockets.ts', 'events-look-inward'],
  ['backend/config.ts', 'backend/adapters/email/index.ts', 'config-looks-inward'],
  ['backend/main.ts', 'backend/modules/auth/auth.module.ts', 'main-starts-the-app'],
  ['backend/main.ts', 'backend/events.ts', 'main-starts-the-app'],

  ['backend/kernel/mail.ts', 'nodemailer', 'vendors-stay-in-adapters'],
  ['backend/kernel/http/redis.ts', 'type ioredis', 'vendors-stay-in-adapters'],
  ['backend/modules/jobs/queues.ts', 'bullmq', 'vendors-stay-in-adapters'],
  ['backend/modules/files/s3.ts', 'lazy @aws-sdk/client-s3', 'vendors-stay-in-adapters'],
  ['backend/modules/search/elastic.ts', '@elastic/elasticsearch', 'vendors-stay-in-adapters'],
  ['backend/modules/notifications/sms.ts', 'twilio', 'vendors-stay-in-adapters'],
  ['backend/modules/notifications/push.ts', 'web-push', 'vendors-stay-in-adapters'],
  ['backend/modules/notifications/fcm.ts', 'firebase-admin/app', 'vendors-stay-in-adapters'],
  ['backend/entities/deals/mail.ts', '@sendgrid/mail', 'vendors-stay-in-adapters'],
  ['backend/kernel/events/log.ts', 'eventemitter2', 'emitter-stays-in-the-bus'],
  ['backend/kernel/http/server.ts', 'type socket.io', 'sockets-stay-in-live'],
  ['backend/modules/auth/accounts.ts', 'pg', 'pg-stays-in-the-database'],

  ['backend/app.ts', 'backend/test/cast.ts', 'tests-stay-tests'],
  ['backend/kernel/clock.ts', 'backend/kernel/ids.test.ts', 'tests-stay-tests'],
  ['backend/adapters/email/index.ts', 'backend/adapters/email/email.contract.ts', 'tests-stay-tests'],
  ['scripts/seed.ts', 'type backend/test/cast.ts', 'tests-stay-tests'],
  ['backend/app.ts', 'vitest', 'production-has-no-dev-packages'],
  ['backend/app.ts', 'undeclared', 'packages-are-declared'],
  ['scripts/doctor.ts', 'backend/gone.ts', 'imports-resolve'],
  ['backend/kernel/egg.ts', 'type backend/kernel/hen.ts', 'no-cycles'],
]

/** What every rule must let pass. */
const allowed: [from: string, to: string][] = [
  ['backend/main.ts', 'backend/app.ts'],
  ['backend/main.ts', 'backend/config.ts'],
  ['backend/main.ts', 'backend/kernel/lifecycle.ts'],
  ['backend/app.ts', 'backend/config.ts'],
  ['backend/app.ts', 'backend/events.ts'],
  ['backend/app.ts', 'backend/modules/live/sockets.ts'],
  ['backend/app.ts', 'backend/adapters/email/index.ts'],
  ['backend/app.ts', 'type @types/node'],
  ['backend/config.ts', 'backend/kernel/log.ts'],
  ['backend/events.ts', 'backend/kernel/events/event.ts'],
  ['backend/events.ts', 'type backend/entities/deals/deal.entity.ts'],
  ['backend/modules/auth/auth.module.ts', 'type backend/events.ts'],
  ['backend/modules/auth/auth.module.ts', 'type backend/modules/live/live.port.ts'],
  ['backend/modules/auth/auth.module.ts', 'backend/modules/auth/session.ts'],
  ['backend/modules/auth/auth.module.ts', 'backend/adapters/email/email.port.ts'],
  ['backend/modules/auth/auth.module.ts', 'backend/entities/deals/deal.actions.ts'],
  ['backend/modules/auth/auth.module.ts', 'backend/kernel/log.ts'],
  ['backend/modules/live/sockets.ts', 'socket.io'],
  ['backend/entities/index.ts', 'backend/entities/deals/deal.actions.ts'],
  ['backend/entities/leads/lead.actions.ts', 'backend/entities/deals/deal.entity.ts'],
  ['backend/entities/leads/lead.actions.ts', 'backend/kernel/log.ts'],
  ['backend/adapters/email/sendgrid.ts', 'lazy @sendgrid/mail'],
  ['backend/adapters/email/sendgrid.ts', 'backend/adapters/email/email.port.ts'],
  ['backend/adapters/email/sendgrid.ts', 'backend/kernel/log.ts'],
  ['backend/kernel/events/bus.ts', 'eventemitter2'],
  ['backend/kernel/db/pool.ts', 'pg'],
  ['backend/kernel/entity/router.ts', 'backend/kernel/db/pool.ts'],
  ['backend/kernel/hen.ts', 'backend/kernel/egg.ts'],
  ['backend/kernel/db/pool.test.ts', 'pg'],
  ['backend/kernel/db/pool.test.ts', 'backend/test/cast.ts'],
  ['backend/kernel/db/pool.test.ts', 'vitest'],
  ['backend/entities/deals/deal.test.ts', 'backend/app.ts'],
  ['backend/test/cast.ts', 'backend/config.ts'],
  ['backend/test/cast.ts', 'backend/modules/auth/session.ts'],
  ['scripts/bench/writes.ts', 'backend/test/cast.ts'],
  ['scripts/migrate.ts', 'pg'],
  ['scripts/migrate.ts', 'backend/config.ts'],
  ['scripts/migrate.ts', 'backend/kernel/db/pool.ts'],
]

/** Files which break the rules that are read off the files themselves, and what is wrong with each. */
const misplaced = {
  environment: {
    'backend/kernel/home.ts': 'export const home = process.env.HOME\n',
    'backend/modules/auth/key.ts': "import { env } from 'node:process'\n\nexport const key = env.KEY\n",
    'backend/modules/auth/rest.ts': 'export const { env } = process\n',
  },
  names: {
    'backend/kernel/http/http.utils.ts': '',
    'backend/kernel/http/helpers.ts': '',
    'backend/entities/deals/deal.service.ts': '',
    'backend/entities/deals/dealActions.ts': '',
    'backend/modules/Jobs/queue.ts': '',
    'backend/modules/jobs/worker.mjs': '',
  },
  hidden: {
    'backend/kernel/hidden.ts': "export type Deal = import('../entities/deals/deal.entity.ts').Deal\n",
    'backend/kernel/whole.ts': "export type Deals = typeof import('../entities/deals/deal.entity.ts')\n",
  },
}

let house: string

beforeAll(async () => {
  house = await realpath(await mkdtemp(join(tmpdir(), 'clientforge-house-')))
  await build(house)
})
afterAll(() => rm(house, { recursive: true, force: true }))

describe('an import', () => {
  test('that breaks a rule is found, by that rule and no other', async () => {
    const found = await cruise(house)
    expect(found.violations).toEqual(
      planted.flatMap(([from, to, ...rules]) => rules.map((rule) => `${rule}: ${from} → ${bare(to)}`)).sort(),
    )
  })

  test('has no rule which was never seen to fail', async () => {
    const config = await import(join(home, '.dependency-cruiser.cjs'))
    const names: string[] = config.default.forbidden.map((rule: { name: string }) => rule.name)
    expect([...new Set(planted.flatMap(([, , ...rules]) => rules))].sort()).toEqual(names.sort())
  })

  test('of ours breaks no rule', async () => {
    const found = await cruise(home)
    expect(found.violations).toEqual([])
    expect(found.sources.filter((source) => source.startsWith('backend/')).length).toBeGreaterThan(0)
    expect(found.sources).toContain('backend/test/architecture.test.ts')
  })

  test('that hides in a type, where dependency-cruiser cannot see it, is not used', async () => {
    expect(await hiddenImports(house)).toEqual(Object.keys(misplaced.hidden).sort())
    expect(await hiddenImports(home)).toEqual([])
  })
})

test('the environment is read in config.ts alone', async () => {
  expect(await readersOfTheEnvironment(house)).toEqual(Object.keys(misplaced.environment).sort())
  expect(await readersOfTheEnvironment(home)).toEqual([])
})

test('a file is named noun.role.ts, with a role of the closed list', async () => {
  expect(await misnamed(house)).toEqual(Object.keys(misplaced.names).sort())
  expect(await misnamed(home)).toEqual([])
})

/** Writes every importing file and, as an empty module, every file and package that is imported. */
async function build(root: string) {
  const files = new Map<string, string>()
  const dependencies: Record<string, string> = {}
  for (const [from, target] of [...planted, ...allowed]) {
    const to = bare(target)
    if (!isFile(to)) {
      const name = to.split('/', to.startsWith('@') ? 2 : 1).join('/')
      if (name !== 'vitest' && name !== 'undeclared') dependencies[name] = '*'
      files.set(`node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.0.0' }))
      files.set(`node_modules/${to}/index.js`, '')
    } else if (to !== 'backend/gone.ts' && !files.has(to)) files.set(to, '')
    files.set(from, `${files.get(from) ?? ''}${statement(from, target)}\n`)
  }
  for (const [file, text] of Object.values(misplaced).flatMap((kind) => Object.entries(kind))) files.set(file, text)
  files.set('backend/config.ts', `${files.get('backend/config.ts')}export const port = process.env.PORT\n`)
  files.set('package.json', JSON.stringify({ type: 'module', dependencies, devDependencies: { vitest: '*' } }))

  for (const [file, text] of files) {
    await mkdir(join(root, dirname(file)), { recursive: true })
    await writeFile(join(root, file), text)
  }
  for (const file of ['.dependency-cruiser.cjs', 'tsconfig.json']) await cp(join(home, file), join(root, file))
}

function statement(from: string, target: string) {
  const to = bare(target)
  const path = isFile(to) ? '../'.repeat(from.split('/').length - 1) + to : to
  const specifier = path.startsWith('../') || !isFile(to) ? path : `./${path}`
  if (target.startsWith('lazy ')) return `await import('${specifier}')`
  return target.startsWith('type ') ? `import type { X } from '${specifier}'` : `import '${specifier}'`
}

const bare = (target: string) => target.replace(/^(type|lazy) /, '')
const isFile = (to: string) => /^(backend|scripts)\//.test(to)

type Cruised = { modules: { source: string }[]; summary: { violations: Violation[] } }
type Violation = { rule: { name: string }; from: string; to: string }

/** Runs dependency-cruiser as `npm run check` does. It exits 0 whether or not it read anything. */
async function cruise(root: string) {
  const json = await new Promise<string>((resolve, reject) => {
    const args = [cruiser, '--config', '.dependency-cruiser.cjs', '--output-type', 'json', 'backend', 'scripts']
    execFile(process.execPath, args, { cwd: root, maxBuffer: 2 ** 28 }, (error, stdout, stderr) =>
      stdout ? resolve(stdout) : reject(error ?? new Error(stderr)),
    )
  })
  const { modules, summary }: Cruised = JSON.parse(json)
  return {
    sources: modules.map((module) => module.source),
    violations: summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${named(to)}`).sort(),
  }
}

/** A file of a package by the name under which it is imported, and a missing one without the way to it. */
const named = (to: string) => to.replace(/^.*node_modules\/|^(\.\.\/)+/, '').replace(/\/index\.js$/, '')

async function hiddenImports(root: string) {
  return matching(root, /typeof\s+import\(|\bimport\([^)]*\)\s*\.\s*[A-Z]/, [])
}

async function readersOfTheEnvironment(root: string) {
  const reader = /\bprocess\??\.env\b|\bprocess\[|=\s*process\b(?![.(])|\bimport\.meta\.env\b|from 'node:process'/
  return matching(root, reader, [/^backend\/config\.ts$/, /^backend\/test\//, /\.test\.ts$/])
}

async function matching(root: string, pattern: RegExp, exceptions: RegExp[]) {
  const sources = (await files(root)).filter(
    (file) => file !== 'backend/test/architecture.test.ts' && !exceptions.some((exception) => exception.test(file)),
  )
  const texts = await Promise.all(sources.map((file) => readFile(join(root, file), 'utf8')))
  return sources.filter((_, index) => pattern.test(texts[index] ?? '')).sort()
}

async function misnamed(root: string) {
  const good = /^([a-z0-9-]+\/)+[a-z0-9-]+(\.(entity|actions|queries|routes|module|port|contract))?(\.test)?\.ts$/
  const empty = /\b(utils?|helpers?|common|managers?)\b/
  const exceptions = ['backend/test/global.setup.ts']
  return (await files(root))
    .filter((file) => (!good.test(file) || empty.test(file)) && !exceptions.includes(file))
    .sort()
}

/** The sources of the backend; declarations of types for packages that have none are not ours to name. */
async function files(root: string) {
  const entries = await readdir(join(root, 'backend'), { recursive: true })
  return entries
    .map((entry) => `backend/${entry.replaceAll('\\', '/')}`)
    .filter((file) => /\.[cm]?[jt]sx?$/.test(file) && !file.endsWith('.d.ts'))
}
