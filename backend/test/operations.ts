import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { generate } from 'otplib'
import { openFiles } from '../adapters/files/index.ts'
import { createTokens } from '../modules/auth/tokens.ts'
import { invitationToken } from '../modules/invitations/token.ts'
import type { TestApp } from './app.ts'
import { type Authenticator, createAuthenticator } from './authenticator.ts'
import { type Cast, password } from './cast.ts'
import { type Client, eventually, paths } from './client.ts'
import { filedMail } from './mailbox.ts'
import { printed } from './printer.ts'
import { exportTable, importTable } from './tables.ts'

/** What a call of an operation needs beside its path. */
export interface Call {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: string
  readonly body?: unknown
  /** Who calls it instead of Alice. */
  readonly as?: Client
}

/** Makes, in Alice's tenant, what one successful call needs. */
type Example = (house: House) => Promise<Call>

type House = Cast & Pick<TestApp, 'url' | 'config'>

/** One successful call of every operation, by its `operationId`. An operation that is missing here fails the tests that walk them. */
export const operations: Readonly<Record<string, Example>> = {
  ...records('Contact', 'contact', { firstName: 'Ada' }),
  ...records('Company', 'company', { name: 'Analytical Engines' }),
  ...records('Deal', 'deal', { name: 'Ten engines' }),
  ...records('Task', 'task', { title: 'Send the offer' }),
  ...records('Note', 'note', { body: 'They decide before Christmas.' }),
  ...records('Lead', 'lead', { lastName: 'Lovelace' }),
  ...records('Interaction', 'interaction', { type: 'call' }),
  ...records('Product', 'product', { name: 'GTX Pro' }),
  convertLead: built('lead'),
  previewLeadConversion: built('lead'),
  moveDeal: async ({ alice }) => {
    const { id, pipelineId, stageId } = await alice.build('deal')
    const { stages } = (await alice.get(`/pipelines/${pipelineId}`)).body
    return {
      ...at(id),
      body: { stageId: stages.find((stage: { id: string }) => stage.id !== stageId).id, position: 1 },
    }
  },
  listLineItems: built('deal'),
  addLineItem: built('deal', () => ({ name: 'Engine', unitPrice: 1000 })),
  getLineItem: line(),
  changeLineItem: line({ quantity: 2 }),
  removeLineItem: line(),
  winDeal: built('deal'),
  loseDeal: built('deal', () => ({ reason: 'Too dear' })),
  reopenDeal: async ({ alice }) => {
    const { id } = await alice.build('deal')
    await alice.post(`/deals/${id}/win`)
    return at(id)
  },
  listDealStages: built('deal'),
  dealBoard: nothing,
  dealForecast: nothing,
  companyHierarchy: built('company'),
  completeTask: built('task'),
  changeTaskStep: async ({ alice }) => {
    const { id } = await alice.build('task', { checklist: [{ id: 'call', text: 'Call' }] })
    return { params: { id, stepId: 'call' }, body: { done: true } }
  },
  reopenTask: async ({ alice }) => at((await alice.build('task', { status: 'completed' })).id),
  assignTask: built('task', ({ bob }) => ({ userIds: [bob.userId] })),

  ...duplicates('Contact', 'contact', { email: 'ada@example.com' }),
  ...duplicates('Lead', 'lead', { lastName: 'Lovelace' }),
  ...duplicates('Company', 'company', { name: 'Analytical Engines' }),

  ...settings('Pipeline', 'pipeline', () => ({ name: unique('Partners'), stages: [{ name: 'Open' }] })),
  ...settings('Tag', 'tag', () => ({ name: unique('vip') }), { color: '#d4af37' }),
  mergeTag: async ({ alice }) => {
    const [into, from] = [
      await alice.build('tag', { name: unique('a') }),
      await alice.build('tag', { name: unique('b') }),
    ]
    return { ...at(into.id), body: { fromIds: [from.id] } }
  },
  ...settings('CustomField', 'customField', () => customField(), { label: 'Region' }),
  restoreCustomField: async ({ alice }) => {
    const { id } = await alice.build('customField', customField())
    await alice.delete(`/custom-fields/${id}`)
    return at(id)
  },
  ...settings('Team', 'team', () => ({ name: unique('Central') })),
  ...settings('Role', 'role', () => ({ name: unique('Sales development') })),
  explainAccess: async ({ bob }) => ({ query: `userId=${bob.userId}&type=contact&action=update` }),
  ...Object.fromEntries(
    ['contact', 'company', 'lead', 'deal', 'task', 'note', 'interaction', 'product'].flatMap((type) => {
      const named = type.charAt(0).toUpperCase() + type.slice(1)
      return [
        [`listAccess${named}`, built(type)],
        [`listShares${named}`, built(type)],
        [`setShares${named}`, built(type, ({ bob }) => ({ shares: [{ userId: bob.userId, access: 'read' }] }))],
      ]
    }),
  ),
  ...settings('ExchangeRate', 'exchangeRate', () => ({ currency: 'EUR', rate: 1.1, validFrom: anyDay() }), {
    rate: 1.2,
  }),
  ...settings('Target', 'target', () => ({ period: anyDay().slice(0, 7), amount: 1000 }), { amount: 2000 }),
  listLookup: nothing,
  getLookup: async () => ({ params: { list: 'source' } }),
  createLookupItem: async () => ({ params: { list: 'source' }, body: { value: unique('fair'), label: 'Fair' } }),
  updateLookup: async () => ({ params: { list: 'source' }, body: { label: 'Where from' } }),
  deleteLookup: async ({ alice }) => {
    const list = unique('own')
    await alice.post(`/lookups/${list}`, { label: 'One' })
    return { params: { list } }
  },
  updateLookupItem: lookupItem({ label: 'Trade fair' }),
  deleteLookupItem: lookupItem(),
  listLookupActivities: async ({ alice }) => at((await alice.get('/lookups')).body.data[0].id),
  ...settings('View', 'view', () => ({ name: 'Mine', resource: 'deal' })),
  ...settings(
    'ScoringRule',
    'scoringRule',
    () => ({
      resource: 'contact',
      name: 'Decides',
      field: 'jobTitle',
      operator: 'contains',
      value: 'chief',
      points: 20,
    }),
    { points: 10 },
  ),
  explainContactScore: built('contact'),
  explainLeadScore: built('lead'),
  listUser: nothing,
  createUser: async () => ({ body: { name: 'Grace', email: `${unique('grace')}@example.com`, password } }),
  getUser: colleague(),
  updateUser: colleague({ name: 'Robert' }),
  deleteUser: colleague(),
  listUserActivities: colleague(),

  getComment: commented(),
  updateComment: commented({ body: 'On second thought' }),
  deleteComment: commented(),
  listCommentHistory: commented(),

  register: async () => ({
    body: { organization: 'Initech', name: 'Peter', email: `${unique('peter')}@example.com`, password },
  }),
  login: async ({ alice }) => ({ body: { email: alice.email, password } }),
  refresh: async ({ alice, nobody }) => {
    const { refreshToken } = (await nobody.post('/auth/login', { email: alice.email, password })).body
    return { body: { refreshToken } }
  },
  logout: async ({ join }) => ({ as: await join('Leo', 'member') }),
  me: nothing,
  updateMe: async () => ({ body: { timezone: 'Europe/Berlin' } }),
  verifyEmail: async (house) => {
    const { email } = await house.found('Initech', 'Peter')
    return { body: { token: await mailedToken(house, email, /Confirm/) } }
  },
  resendVerification: nothing,
  forgotPassword: async ({ alice }) => ({ body: { email: alice.email } }),
  resetPassword: async (house) => {
    const { email } = await house.found('Initech', 'Peter')
    await house.nobody.post('/auth/password/forgot', { email })
    return { body: { token: await mailedToken(house, email, /Choose/), password: 'a newer password' } }
  },
  changePassword: async ({ found }) => ({
    as: await found('Initech', 'Peter'),
    body: { currentPassword: password, newPassword: 'a newer password' },
  }),
  enableTwoFactor: async ({ found }) => ({ as: await found('Initech', 'Peter'), body: { password } }),
  verifyTwoFactor: async ({ found }) => {
    const as = await found('Initech', 'Peter')
    const { secret } = (await as.post('/auth/2fa/enable', { password })).body
    return { as, body: { code: await generate({ secret }) } }
  },
  disableTwoFactor: async ({ found }) => secured(await found('Initech', 'Peter')),
  renewRecoveryCodes: async ({ found }) => secured(await found('Initech', 'Peter')),
  passkeyOptions: async ({ found }) => ({ as: await found('Initech', 'Peter'), body: { password } }),
  registerPasskey: async (house) => {
    const as = await house.found('Initech', 'Peter')
    return { as, body: await newPasskey(as, createAuthenticator(partyOf(house))) }
  },
  listPasskeys: nothing,
  deletePasskey: async (house) => {
    const as = await house.found('Initech', 'Peter')
    const made = await as.post('/auth/passkeys', await newPasskey(as, createAuthenticator(partyOf(house))))
    return { as, ...at(made.body.id) }
  },
  passkeySignInOptions: nothing,
  signInByPasskey: async (house) => {
    const as = await house.found('Initech', 'Peter')
    const key = createAuthenticator(partyOf(house))
    await as.post('/auth/passkeys', await newPasskey(as, key))
    const { body } = await house.nobody.post('/auth/passkeys/login/options')
    return { body: { response: key.get(body) } }
  },
  listSessions: nothing,
  deleteSession: async ({ alice, nobody }) => {
    await nobody.post('/auth/login', { email: alice.email, password })
    const { data } = (await alice.get('/auth/sessions')).body
    return at(data.find((session: { current: boolean }) => !session.current).id)
  },

  ...machines('ApiKey', '/api-keys'),
  ...machines('ServiceAccount', '/service-accounts'),
  listOpenIdProviders: nothing,
  token: async ({ alice }) => {
    const { clientId, clientSecret } = (await alice.post('/service-accounts', machine())).body
    const body = { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret }
    return { body: new URLSearchParams(body) }
  },
  listTenants: operating(),
  createTenant: operating({ name: 'Initech', owner: { name: 'Peter', email: 'peter@initech.example' } }),
  getTenantOfPlatform: governed(),
  governTenant: governed({ featureFlags: { beta: true } }),
  impersonateUser: async ({ operator, charlie }) => ({
    as: await operator(),
    params: { id: charlie.tenantId },
    body: { userId: charlie.userId, reason: 'Ticket 7' },
  }),
  listOnline: nothing,
  deactivateUser: async ({ alice, join }) => ({
    ...at((await join('Rob', 'member')).userId),
    body: { handOverTo: alice.userId },
  }),
  getHandOver: async ({ alice, join }) => {
    const { userId } = await join('Rob', 'member')
    return at((await alice.post(`/users/${userId}/deactivate`, { handOverTo: alice.userId })).body.id)
  },
  createInvitation: async () => ({ body: [{ email: `${unique('grace')}@example.com`, role: 'member' }] }),
  listInvitations: nothing,
  resendInvitation: invited(),
  deleteInvitation: invited(),
  acceptInvitation: async (house) => {
    const { id } = await invitationOf(house)
    const token = invitationToken(createTokens(house.config.jwtSecret).mark, id, 1)
    return { body: { token, name: 'Grace', password } }
  },
  switchTenant: async ({ alice }) => ({ body: { tenantId: alice.tenantId } }),
  deleteOtherSessions: async ({ join }) => ({ as: await join('Leo', 'member') }),
  deleteUserSessions: colleague(),
  getTenant: nothing,
  updateTenant: async () => ({ body: { timezone: 'Europe/Berlin' } }),

  listActivities: nothing,
  listMyActivities: nothing,
  searchActivities: async () => ({ query: 'q=alice' }),
  countActivities: nothing,
  listActivitiesOfRecord: async ({ alice }) => ({
    params: { entityType: 'deal', entityId: (await alice.build('deal')).id },
  }),

  search: async () => ({ query: 'q=engines' }),
  suggest: async () => ({ query: 'q=eng' }),
  indexRecord: async ({ alice }) => ({ body: { type: 'deal', id: (await alice.build('deal')).id } }),
  indexRecords: async ({ alice }) => ({ body: { type: 'deal', ids: [(await alice.build('deal')).id] } }),
  unindexRecord: async ({ alice }) => ({ params: { type: 'deal', id: (await alice.build('deal')).id } }),
  searchStatus: nothing,

  ...inbox(''),
  ...inbox('My'),

  downloadLinkedFile: linkedFile,
  createImport: async () => {
    const body = new FormData()
    body.set('resource', 'contacts')
    body.set('file', new Blob(['firstName\nAda\n']), 'people.csv')
    return { body }
  },
  listImport: nothing,
  getImport: imported,
  getImportErrors: imported,
  undoImport: imported,
  createExport: async () => ({ body: { resource: 'contacts', filters: { stage: 'prospect' }, format: 'csv' } }),
  listExport: nothing,
  getExport: async ({ alice }) => at((await exportTable(alice, { resource: 'contacts', format: 'jsonl' })).id),

  listQueues: operating(),
  listJobs: operating(undefined, { params: { queue: 'reports' } }),
  retryJob: async ({ alice, operator }) => {
    const as = await operator()
    const jobId = await printed(as, 'failed', (await alice.build('tag', { name: unique('print') })).id)
    return { as, body: { queue: 'reports', jobId } }
  },
  listSchedules: operating(),
  runSchedule: operating({ dryRun: true }, { params: { name: 'sessions.expire' } }),
  pauseQueue: operating({ queue: 'reports' }),
  resumeQueue: operating({ queue: 'reports' }),
  cleanQueue: operating({ queue: 'reports', olderThanMs: 3_600_000 }),

  live: nothing,
  ready: nothing,
  health: nothing,
  metrics: nothing,
}

/** The calls that the engine offers for a record. */
function records(name: string, type: string, values: Record<string, unknown>): Record<string, Example> {
  const plural = (paths[type] ?? '').slice(1).replace(/^./, (letter) => letter.toUpperCase())
  const deleted: Example = async ({ alice }) => {
    const { id } = await alice.build(type)
    await alice.delete(`${paths[type]}/${id}`)
    return at(id)
  }
  return {
    [`list${name}`]: nothing,
    [`create${name}`]: async () => ({ body: values }),
    [`get${name}`]: built(type),
    [`update${name}`]: built(type, () => values),
    [`replace${name}`]: built(type, () => values),
    [`delete${name}`]: built(type),
    [`restore${name}`]: deleted,
    [`archive${name}`]: built(type),
    [`unarchive${name}`]: built(type),
    [`bulk${name}`]: async () => ({ body: { operations: [{ op: 'create', data: values }] } }),
    [`upsert${name}`]: async () => ({ params: { externalId: unique('key') }, body: values }),
    [`list${name}Activities`]: built(type),
    [`list${name}Comments`]: built(type),
    [`create${name}Comment`]: built(type, ({ bob }) => ({ body: `Look, @[Bob](${bob.userId})` })),
    [`search${plural}`]: async () => ({ query: 'q=ada' }),
  }
}

/** The calls about records that may be the same. */
function duplicates(name: string, type: string, values: Record<string, unknown>): Record<string, Example> {
  const two = async ({ alice }: Cast) => [(await alice.build(type, values)).id, (await alice.build(type, values)).id]
  return {
    [`list${name}Duplicates`]: nothing,
    [`listDuplicatesOf${name}`]: built(type),
    [`check${name}Duplicates`]: async () => ({ body: values }),
    [`dismiss${name}Duplicates`]: async (cast) => ({ body: { ids: await two(cast) } }),
    [`undismiss${name}Duplicates`]: async (cast) => ({ body: { ids: await two(cast) } }),
    [`merge${name}`]: async (cast) => {
      const [id = '', fromId] = await two(cast)
      return { ...at(id), body: { fromIds: [fromId] } }
    },
    [`unmerge${name}`]: async (cast) => {
      const [id = '', fromId] = await two(cast)
      await cast.alice.post(`${paths[type]}/${id}/merge`, { fromIds: [fromId] })
      return at(id)
    },
  }
}

/** The calls for what sets the house up; a name of it is taken once. */
function settings(
  name: string,
  type: string,
  values: () => Record<string, unknown>,
  change: Record<string, unknown> = { name: unique('Others') },
): Record<string, Example> {
  const made =
    (body?: unknown): Example =>
    async ({ alice }) => ({ ...at((await alice.build(type, values())).id), ...(body ? { body } : {}) })
  return {
    [`list${name}`]: nothing,
    [`create${name}`]: async () => ({ body: values() }),
    [`get${name}`]: made(),
    [`update${name}`]: made(change),
    [`delete${name}`]: made(),
    [`list${name}Activities`]: made(),
  }
}

/** The calls for keys and service accounts. */
function machines(name: string, path: string): Record<string, Example> {
  const made: Example = async ({ alice }) => at((await alice.post(path, machine())).body.id)
  return {
    [`list${name}`]: nothing,
    [`create${name}`]: async () => ({ body: machine() }),
    [`rotate${name}`]: made,
    [`delete${name}`]: made,
  }
}

const machine = () => ({ name: 'Sync', scopes: ['contact:read'] })

function inbox(my: string): Record<string, Example> {
  const told: Example = async (cast) => at(await notificationOf(cast))
  return {
    [`list${my}Notifications`]: nothing,
    [`delete${my}Notifications`]: async (cast) => ({ body: { ids: [await notificationOf(cast)] } }),
    [`count${my}UnreadNotifications`]: nothing,
    [`mark${my}AllNotificationsRead`]: nothing,
    [`get${my}Notification`]: told,
    [`delete${my}Notification`]: told,
    [`mark${my}NotificationRead`]: told,
    [`mark${my}NotificationUnread`]: told,
    [`snooze${my}Notification`]: async (cast) => ({
      ...at(await notificationOf(cast)),
      body: { until: '2099-01-01T00:00:00.000Z' },
    }),
  }
}

/** Bob gives Alice a deal, of which she is told. */
async function notificationOf({ alice, bob }: Cast): Promise<string> {
  const deal = await bob.build('deal', { ownerId: alice.userId })
  return eventually(async () => {
    const { data } = (await alice.get('/notifications?limit=200')).body
    return data.find(({ entityId }: { entityId: string }) => entityId === deal.id)?.id
  }, 'the notification of a deal that was assigned')
}

/** The token of a link that somebody was mailed, as the files say: without a mail server mails are written there. */
async function mailedToken({ config }: House, email: string, subject: RegExp): Promise<string> {
  const { text = '' } = await filedMail(config.storageDir, email, subject)
  return /token=([\w.-]+)/.exec(text)?.[1] ?? ''
}

/** For whom passkeys of a house are: a loopback address goes by its name. */
const partyOf = ({ url }: House): string => url.replace('127.0.0.1', 'localhost')

async function newPasskey(as: Client, key: Authenticator): Promise<object> {
  const { body } = await as.post('/auth/passkeys/options', { password })
  return { name: 'Laptop', response: key.create(body) }
}

/** Turns a second factor on, and shows it. */
async function secured(as: Client): Promise<Call> {
  const { secret } = (await as.post('/auth/2fa/enable', { password })).body
  const { recoveryCodes } = (await as.post('/auth/2fa/verify', { code: await generate({ secret }) })).body
  return { as, body: { password, code: recoveryCodes[0] } }
}

async function imported({ alice }: Cast): Promise<Call> {
  return at((await importTable(alice, 'firstName\nAda\n', { resource: 'contacts' })).id)
}

async function linkedFile({ url, config }: House): Promise<Call> {
  const { files } = openFiles({ storageDir: config.storageDir, secret: config.jwtSecret, base: () => url })
  const { key } = await files.put('tests/linked.txt', Readable.from(['content']), 'text/plain')
  const link = await files.link(key, { name: 'linked.txt', contentType: 'text/plain', expiresIn: 60 })
  return { params: { token: link.slice(link.lastIndexOf('/') + 1) } }
}

function built(type: string, body?: (cast: Cast) => unknown): Example {
  return async (cast) => ({ ...at((await cast.alice.build(type)).id), ...(body ? { body: body(cast) } : {}) })
}

function lookupItem(body?: unknown): Example {
  return async ({ alice }) => {
    const made = await alice.post('/lookups/source', { value: unique('fair') })
    return { params: { list: 'source', item: made.body.id }, ...(body ? { body } : {}) }
  }
}

function commented(body?: unknown): Example {
  return async ({ alice }) => {
    const deal = await alice.build('deal')
    const { id } = (await alice.post(`/deals/${deal.id}/comments`, { body: 'Well' })).body
    return { ...at(id), ...(body ? { body } : {}) }
  }
}

function line(body?: unknown): Example {
  return async ({ alice }) => {
    const { id } = await alice.build('deal')
    const made = await alice.post(`/deals/${id}/line-items`, { name: 'Engine', unitPrice: 1000 })
    return { params: { id, lineId: made.body.id }, ...(body ? { body } : {}) }
  }
}

function colleague(body?: unknown): Example {
  return async ({ join }) => ({ ...at((await join('Rob', 'member')).userId), ...(body ? { body } : {}) })
}

function operating(body?: unknown, call: Call = {}): Example {
  return async ({ operator }) => ({ as: await operator(), ...(body ? { body } : {}), ...call })
}

/** What a platform operator does with Charlie's tenant. */
function governed(body?: unknown): Example {
  return async ({ operator, charlie }) => ({
    as: await operator(),
    params: { id: charlie.tenantId },
    ...(body ? { body } : {}),
  })
}

async function invitationOf({ alice }: Cast): Promise<{ id: string }> {
  return (await alice.post('/invitations', { email: `${unique('grace')}@example.com` })).body
}

function invited(): Example {
  return async (cast) => at((await invitationOf(cast)).id)
}

async function nothing(): Promise<Call> {
  return {}
}

function customField(): Record<string, unknown> {
  return { resource: 'deal', key: unique('region'), label: 'Region', type: 'text' }
}

/** A day of a month that no other example has taken. */
function anyDay(): string {
  days += 32
  return new Date(Date.UTC(1990, 0, days)).toISOString().slice(0, 10)
}

let days = 0

function at(id: string): Call {
  return { params: { id } }
}

function unique(name: string): string {
  return `${name}${randomBytes(4).toString('hex')}`
}

/** Calls an operation of the document as somebody. Paths outside of `/api/v1` are called as they are. */
export function callOperation(who: Client, method: string, template: string, call: Call) {
  const filled = template.replace(/\{(\w+)\}/g, (_all, name: string) => {
    const value = call.params?.[name]
    if (value === undefined) throw new Error(`${method} ${template} has no example of ${name}`)
    return value
  })
  const path = filled.startsWith('/api/v1') ? filled.slice('/api/v1'.length) : `/${filled}`
  const isForm = call.body instanceof FormData || call.body instanceof URLSearchParams
  const body = call.body === undefined ? undefined : isForm ? call.body : JSON.stringify(call.body)
  return who.raw(
    method.toUpperCase(),
    call.query ? `${path}?${call.query}` : path,
    body as string | FormData | URLSearchParams,
    {
      ...(body && !isForm ? { 'content-type': 'application/json' } : {}),
    },
  )
}
