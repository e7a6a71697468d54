import type { Answer } from './answer.ts'
import { checkAnswer } from './openapi-check.ts'

/** Somebody at the front door. Every answer is held against the OpenAPI document. */
export interface Client {
  readonly url: string
  readonly token: string
  readonly refreshToken: string
  readonly userId: string
  readonly tenantId: string
  readonly email: string
  get(path: string, headers?: Record<string, string>): Promise<Answer>
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  patch(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  put(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  delete(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  /** Sends a body as it is. */
  raw(
    method: string,
    path: string,
    body: string | Buffer | FormData | URLSearchParams | undefined,
    headers?: Record<string, string>,
  ): Promise<Answer>
  /** Makes a record with what it needs, or throws. */
  build(
    type: string,
    values?: Record<string, unknown>,
  ): Promise<{ id: string; version: number } & Record<string, unknown>>
  /** The activities of a record, oldest first, once there are as many as it has versions. */
  timeline(type: string, id: string, count: number): Promise<Record<string, unknown>[]>
}

interface SignIn {
  readonly user: { id: string; email: string }
  /** Null for a platform operator. */
  readonly tenant: { id: string } | null
  readonly accessToken: string
  readonly refreshToken: string
}

/** A client of an app; with a sign-in it sends the access token. Paths are below `/api/v1` unless they begin with `//`. */
export async function createClient(url: string, signIn?: SignIn): Promise<Client> {
  const raw: Client['raw'] = async (method, path, body, headers = {}) => {
    const target = path.startsWith('//') ? `${url}${path.slice(1)}` : `${url}/api/v1${path}`
    const response = await fetch(target, {
      method,
      redirect: 'manual',
      headers: { ...(signIn ? { authorization: `Bearer ${signIn.accessToken}` } : {}), ...headers },
      ...(body === undefined ? {} : { body }),
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json')
    const answer: Answer = {
      status: response.status,
      body: isJson && text !== '' ? JSON.parse(text) : text,
      headers: response.headers,
    }
    await checkAnswer(url, method, new URL(target), answer)
    return answer
  }
  const send =
    (method: string) =>
    (path: string, body?: unknown, headers: Record<string, string> = {}) =>
      raw(method, path, body === undefined ? undefined : JSON.stringify(body), {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      })
  const client: Client = {
    url,
    token: signIn?.accessToken ?? '',
    refreshToken: signIn?.refreshToken ?? '',
    userId: signIn?.user.id ?? '',
    tenantId: signIn?.tenant?.id ?? '',
    email: signIn?.user.email ?? '',
    get: (path, headers) => raw('GET', path, undefined, headers),
    post: send('POST'),
    patch: send('PATCH'),
    put: send('PUT'),
    delete: send('DELETE'),
    raw,
    build: async (type, values = {}) => {
      const path = paths[type]
      if (!path) throw new Error(`nobody knows how to build a ${type}`)
      const answer = await client.post(path, { ...examples[type], ...values })
      if (answer.status !== 201)
        throw new Error(`a ${type} could not be built: ${answer.status} ${JSON.stringify(answer.body)}`)
      return answer.body
    },
    timeline: (type, id, count) =>
      eventually(async () => {
        const answer = await client.get(`/timeline/${type}/${id}?limit=200`)
        return answer.status === 200 && answer.body.data.length >= count ? answer.body.data.toReversed() : undefined
      }, `${count} activities of the ${type} ${id}`),
  }
  return client
}

/** Waits until something is there: looks again until it is or 30 seconds have passed, and then says what was missing. */
export async function eventually<T>(look: () => Promise<T | undefined | false>, what: string): Promise<T> {
  const deadline = Date.now() + 30_000
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (Date.now() > deadline) throw new Error(`it never came: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Where records that tests make are posted, by what they are called here. */
export const paths: Readonly<Record<string, string>> = {
  contact: '/contacts',
  company: '/companies',
  deal: '/deals',
  task: '/tasks',
  note: '/notes',
  lead: '/leads',
  interaction: '/interactions',
  product: '/products',
  pipeline: '/pipelines',
  tag: '/tags',
  customField: '/custom-fields',
  team: '/teams',
  role: '/roles',
  view: '/views',
  exchangeRate: '/exchange-rates',
  target: '/targets',
  scoringRule: '/scoring-rules',
}

const examples: Readonly<Record<string, Record<string, unknown>>> = {
  contact: { firstName: 'Ada', lastName: 'Lovelace' },
  company: { name: 'Analytical Engines' },
  deal: { name: '200 engines', value: 1000 },
  task: { title: 'Send the offer' },
  note: { body: 'They decide before Christmas.' },
  lead: { firstName: 'Ada', lastName: 'Lovelace', companyName: 'Analytical Engines' },
  interaction: { type: 'call' },
  product: { name: 'GTX Pro', price: 4821 },
  pipeline: {
    name: 'Partners',
    stages: [
      { name: 'Open', kind: 'open' },
      { name: 'Won', kind: 'won' },
      { name: 'Lost', kind: 'lost' },
    ],
  },
  tag: { name: 'vip' },
  customField: { resource: 'deal', key: 'region', label: 'Region', type: 'text' },
  team: { name: 'Central' },
  role: { name: 'Sales development', permissions: [{ resource: 'lead', action: 'read', scope: 'own' }] },
  view: { name: 'Open deals', resource: 'deal', filters: { status: 'open' } },
  exchangeRate: { currency: 'EUR', rate: 1.1, validFrom: '2026-11-01' },
  target: { period: '2026-11', amount: 1000 },
  scoringRule: {
    resource: 'contact',
    name: 'Decides',
    field: 'jobTitle',
    operator: 'contains',
    value: 'chief',
    points: 20,
  },
}
