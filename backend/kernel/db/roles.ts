import { createHmac } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

/** What the roles of an installation are made from. */
export type RoleOptions = {
  rolePrefix: string
  ownerUrl: string
  appUrl?: string | undefined
  workerUrl?: string | undefined
}

/** Makes the roles that are missing, gives them their passwords and limits, and changes nothing that is right. */
export async function ensureRoles(client: pg.Client, options: RoleOptions): Promise<void> {
  const { rolePrefix, ownerUrl } = options
  if (!/^[a-z_][a-z0-9_]{0,40}$/.test(rolePrefix)) {
    throw new Error(
      `DATABASE_ROLE_PREFIX "${rolePrefix}" may hold small letters, digits and _ only, and begins with none`,
    )
  }
  const app = `${rolePrefix}app`
  const worker = `${rolePrefix}worker`
  await patiently(async () => {
    await ensureLogin(client, app, options.appUrl ?? roleUrl(ownerUrl, app), 'DATABASE_APP_URL', {
      idle_in_transaction_session_timeout: '10s',
      statement_timeout: '5s',
      lock_timeout: '5s',
    })
    await ensureLogin(client, worker, options.workerUrl ?? roleUrl(ownerUrl, worker), 'DATABASE_WORKER_URL', {
      idle_in_transaction_session_timeout: '10s',
      statement_timeout: '60s',
    })
    await ensureSearch(client, `${rolePrefix}search`)
  })
}

/** The connection string of a role: the owner's, with the role's name and a password derived from the owner's. */
export function roleUrl(ownerUrl: string, role: string): string {
  const { scheme, password, rest } = splitUrl(ownerUrl)
  // An empty password would make a derived one that everybody can work out, so such a role gets none.
  const secret = password === '' ? '' : `:${createHmac('sha256', password).update(role).digest('hex')}`
  return `${scheme}${encodeURIComponent(role)}${secret}@${rest}`
}

/** Throws when this connection's role would not be held back by row-level security. */
export async function refuseUnsafeRole(client: Pick<pg.ClientBase, 'query'>): Promise<void> {
  const { rows } = await client.query<{ role: string; superuser: boolean; bypass: boolean; owned: string | null }>(
    `select rolname as role, rolsuper as superuser, rolbypassrls as bypass,
       (select c.relname from pg_class c where c.relnamespace = to_regnamespace('public') and c.relkind in ('r', 'p')
         and pg_has_role(current_user, c.relowner, 'usage') limit 1) as owned
     from pg_roles where rolname = current_user`,
  )
  const [found] = rows
  if (found === undefined) throw new Error('The database role of this connection is not known')
  const [reason] = [
    found.superuser ? 'is a superuser' : undefined,
    found.bypass ? 'bypasses row-level security' : undefined,
    found.owned === null ? undefined : `owns the table ${found.owned}`,
  ].filter((each) => each !== undefined)
  if (reason === undefined) return
  throw new Error(
    `The database role ${found.role} ${reason}, so tenants would not be kept apart: ` +
      'leave DATABASE_APP_URL and DATABASE_WORKER_URL unset, or name a plain role in them',
  )
}

type UrlParts = { scheme: string; user: string; password: string; rest: string }

/** Not `new URL`: it rejects `postgres://user:password@/database?host=/folder`, the form of a unix socket. */
function splitUrl(url: string): UrlParts {
  const match = /^(postgres(?:ql)?:\/\/)(?:([^/?#]*)@)?(.*)$/is.exec(url)
  if (match === null) throw new Error('A database URL must begin with postgres://')
  const [, scheme = '', info = '', tail = ''] = match
  const [place = '', query = ''] = tail.split(/\?(.*)/s)
  const colon = info.indexOf(':')
  const params = new URLSearchParams(query)
  // The driver prefers these two in the query to those before the @.
  const user = params.get('user') ?? decoded(colon < 0 ? info : info.slice(0, colon))
  const password = params.get('password') ?? decoded(colon < 0 ? '' : info.slice(colon + 1))
  if (!params.has('user') && !params.has('password')) return { scheme, user, password, rest: tail }
  params.delete('user')
  params.delete('password')
  return { scheme, user, password, rest: params.size === 0 ? place : `${place}?${params}` }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Roles belong to the whole cluster and our lock to one database: another installation may be at it too. */
async function patiently(work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      if (attempt === 10 || !isRace(error)) throw error
      await sleep(50 + Math.random() * 100)
    }
  }
}

function isRace(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return false
  return error.code === '42710' || error.code === '23505' || /tuple concurrently/.test(error.message)
}

async function ensureLogin(
  client: pg.Client,
  role: string,
  url: string,
  variable: string,
  limits: Record<string, string>,
): Promise<void> {
  const { user, password } = splitUrl(url)
  const secret = password === '' ? '' : ` password ${pg.escapeLiteral(password)}`
  await ensureRole(client, role, user === role ? `login${secret}` : 'nologin')
  await ensureConnect(client, role)
  // An operator's own login for the application gets the rights by being a member; its password is not ours.
  if (user !== role) {
    await refuseOwner(client, user, variable)
    await ensureMember(client, role, user)
  }
  if (await signsIn(url, limits)) return
  if (user === role) await allow(client, `alter role ${name(role)} login${secret}`, role)
  if (user === role && (await signsIn(url, limits))) return
  throw new Error(
    password === ''
      ? `The database role ${user} cannot sign in without a password, and there is none to derive one from: ` +
          `put a password into DATABASE_URL, or set ${variable}`
      : `The database role ${user} cannot sign in: look at its password and at pg_hba.conf, or set ${variable}`,
  )
}

async function ensureSearch(client: pg.Client, role: string): Promise<void> {
  await ensureRole(client, role, 'nologin')
  // Functions can only be handed to a role one is allowed to become. From 16 on, its maker is not by itself.
  const { rows } = await client.query<{ member: boolean }>(
    `select pg_has_role(current_user, $1::name,
       case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end) as member`,
    [role],
  )
  if (rows[0]?.member !== true) await allow(client, `grant ${name(role)} to current_user`, role)
}

async function ensureRole(client: pg.Client, role: string, login: string): Promise<void> {
  const { rows } = await client.query<{ unsafe: boolean }>(
    'select rolsuper or rolbypassrls as unsafe from pg_roles where rolname = $1',
    [role],
  )
  // An owner that is no superuser may not even say "nosuperuser" of a role that exists, so this can only be refused.
  if (rows[0]?.unsafe === true) {
    throw new Error(`The database role ${role} is a superuser or bypasses row-level security: take that from it`)
  }
  if (rows.length > 0) return
  await allow(client, `create role ${name(role)} ${login} nosuperuser nobypassrls nocreatedb nocreaterole`, role)
}

async function ensureConnect(client: pg.Client, role: string): Promise<void> {
  const { rows } = await client.query<{ database: string; allowed: boolean }>(
    `select current_database() as database, has_database_privilege($1, current_database(), 'connect') as allowed`,
    [role],
  )
  const [found] = rows
  if (found === undefined || found.allowed) return
  await allow(client, `grant connect on database ${name(found.database)} to ${name(role)}`, role)
}

/** Before anything is given to it: with our limits as its defaults the owner could not work any more. */
async function refuseOwner(client: pg.Client, user: string, variable: string): Promise<void> {
  const { rows } = await client.query<{ unsafe: boolean }>(
    'select rolsuper or rolbypassrls or rolname = current_user as unsafe from pg_roles where rolname = $1',
    [user],
  )
  if (rows[0]?.unsafe !== true) return
  throw new Error(
    `The database role ${user} in ${variable} is the owner, a superuser or bypasses row-level security, so tenants would ` +
      `not be kept apart: leave ${variable} unset, or name a plain role in it`,
  )
}

async function ensureMember(client: pg.Client, role: string, user: string): Promise<void> {
  const { rows } = await client.query<{ member: boolean }>('select pg_has_role($1, $2::name, $3) as member', [
    user,
    role,
    'usage',
  ])
  if (rows[0]?.member !== true) await allow(client, `grant ${name(role)} to ${name(user)}`, role)
}

/** Statements about roles take no parameters; every name and literal in them is escaped. */
async function allow(client: pg.Client, statement: string, role: string): Promise<void> {
  try {
    await client.query(statement)
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.code !== '42501') throw error
    // The statement is left out, as it may hold a password.
    throw new Error(
      `The owner in DATABASE_URL may not make or change the role ${role} (${error.message}): ` +
        'give the owner CREATEROLE, and if the role was made by somebody else, grant it to the owner with admin option',
      {
        cause: error,
      },
    )
  }
}

/** Whether the role can sign in; where it can, it has its limits afterwards. */
async function signsIn(url: string, limits: Record<string, string>): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    await ensureLimits(client, limits)
    return true
  } catch (error) {
    // Class 28: wrong password, no login allowed, or no line for it in pg_hba.conf.
    if (error instanceof pg.DatabaseError && error.code?.startsWith('28') === true) return false
    // The driver's own complaint, before anything is sent, when SCRAM wants a password and there is none.
    if (error instanceof Error && /password must be a (non-empty )?string/.test(error.message)) return false
    throw error
  } finally {
    await client.end().catch(() => {})
  }
}

/**
 * Only what nobody has set: an operator who chose another limit keeps it. Every role may set its own defaults, while
 * the owner may not set those of a login that an operator made.
 */
async function ensureLimits(client: pg.Client, limits: Record<string, string>): Promise<void> {
  const { rows } = await client.query<{ setting: string }>(
    `select split_part(entry, '=', 1) as setting from pg_roles, unnest(rolconfig) as entry where rolname = current_user`,
  )
  const present = new Set(rows.map(({ setting }) => setting))
  for (const [setting, value] of Object.entries(limits)) {
    if (present.has(setting)) continue
    await client.query(`alter role current_user set ${setting} = ${pg.escapeLiteral(value)}`)
  }
}

function name(identifier: string): string {
  return pg.escapeIdentifier(identifier)
}
