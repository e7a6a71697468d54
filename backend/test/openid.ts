import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose'
import Provider, { type Configuration } from 'oidc-provider'

/** A real OpenID provider on the loopback, whose people sign in by name. */
export interface OpenIdHouse {
  readonly issuer: string
  /** Opens it for a client that is sent back to these addresses; called again, with keys that nobody knows yet. */
  open(redirectUris: readonly string[]): Promise<void>
  /** What it will say of whoever signs in under a name. */
  readonly people: Map<string, Readonly<Record<string, unknown>>>
  /** An access token that it mints for a program. */
  mint(): Promise<string>
  /** A token signed with its own key: what it would never say. */
  sign(claims: Readonly<Record<string, unknown>>, header?: Readonly<Record<string, unknown>>): Promise<string>
  /** One that is signed with a key which is for encryption only. */
  signToEncrypt(claims: Readonly<Record<string, unknown>>): Promise<string>
  /** How often its keys were fetched. */
  readonly fetches: number
  stop(): Promise<void>
}

export const openIdClient = { clientId: 'crm', clientSecret: 'the secret of the client' }
export const openIdAudience = 'urn:crm'

/** Starts the provider's server; nothing is served before {@link OpenIdHouse.open}. */
export async function startOpenIdHouse(): Promise<OpenIdHouse> {
  const people: OpenIdHouse['people'] = new Map()
  let fetches = 0
  let serve: ReturnType<Provider['callback']> | undefined
  let [key, encryptionKey]: JWK[] = []
  const server: Server = createServer((request, response) => {
    if (request.url === '/jwks') fetches++
    void serve?.(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const issuer = `http://127.0.0.1:${port}`

  const signWith = async (key: JWK | undefined, claims: object, header: object): Promise<string> =>
    new SignJWT({ iss: issuer, aud: openIdAudience, ...claims })
      .setProtectedHeader({ alg: 'RS256', kid: key?.kid ?? '', typ: 'at+jwt', ...header })
      .sign(await importJWK({ ...key, alg: 'RS256', use: 'sig' }, 'RS256'))

  return {
    issuer,
    people,
    get fetches() {
      return fetches
    },
    open: async (redirectUris) => {
      key = await signingKey()
      encryptionKey = { ...(await signingKey()), alg: 'RSA-OAEP', use: 'enc' }
      const jwks = { keys: [key, encryptionKey] }
      const provider = new Provider(issuer, configuration(redirectUris, jwks, people))
      // How somebody signed in is the session's to say, and its page asks nobody for a second factor.
      Object.defineProperty(provider.Session.prototype, 'amr', {
        get(this: { accountId?: string }) {
          return people.get(this.accountId ?? '')?.amr
        },
        set: () => {},
      })
      serve = provider.callback()
    },
    mint: async () => {
      const form = { grant_type: 'client_credentials', client_id: 'robot', client_secret: 'the secret of the robot' }
      const answer = await fetch(`${issuer}/token`, { method: 'POST', body: new URLSearchParams(form) })
      const { access_token } = (await answer.json()) as { access_token: string }
      return access_token
    },
    sign: (claims, header = {}) => signWith(key, claims, header),
    signToEncrypt: (claims) => signWith(encryptionKey, claims, {}),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

let keys = 0

async function signingKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  return { ...(await exportJWK(privateKey)), kid: `key-${++keys}`, alg: 'RS256', use: 'sig' }
}

const configuration = (
  redirectUris: readonly string[],
  jwks: { keys: JWK[] },
  people: OpenIdHouse['people'],
): Configuration => ({
  jwks: jwks as Configuration['jwks'],
  clients: [
    {
      client_id: openIdClient.clientId,
      client_secret: openIdClient.clientSecret,
      redirect_uris: [...redirectUris],
      token_endpoint_auth_method: 'client_secret_post',
    },
    {
      client_id: 'robot',
      client_secret: 'the secret of the robot',
      redirect_uris: [],
      response_types: [],
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'client_secret_post',
    },
  ],
  features: {
    clientCredentials: { enabled: true },
    encryption: { enabled: true },
    requestObjects: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (_ctx, client) => (client.clientId === 'robot' ? openIdAudience : []),
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'api',
        audience: openIdAudience,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  extraTokenClaims: (_ctx, token) => (token.kind === 'ClientCredentials' ? { ...people.get('robot') } : undefined),
  conformIdTokenClaims: false,
  claims: { openid: ['sub', 'amr'], email: ['email', 'email_verified'], profile: ['name', 'roles'] },
  findAccount: (_ctx, sub) => ({
    accountId: sub,
    claims: async () => ({ sub, ...people.get(sub) }),
  }),
  cookies: { keys: ['a key of the provider'] },
})

/** A browser: keeps cookies, and follows links by hand. */
export function createBrowser() {
  const cookies = new Map<string, string>()
  const visit = async (url: string, init: RequestInit = {}): Promise<Response> => {
    const { origin } = new URL(url)
    const held = [...cookies].filter(([name]) => name.startsWith(`${origin} `))
    const cookie = held.map(([name, value]) => `${name.slice(origin.length + 1)}=${value}`).join('; ')
    const response = await fetch(url, { ...init, redirect: 'manual', headers: { ...init.headers, cookie } })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') cookies.delete(`${origin} ${name}`)
      else cookies.set(`${origin} ${name}`, value)
    }
    return response
  }
  const follow = async (url: string, until: (url: string) => boolean, name: string): Promise<string> => {
    let next = url
    for (let steps = 0; steps < 20; steps++) {
      if (until(next)) return next
      const response = await visit(next)
      const location = response.headers.get('location')
      if (location !== null) {
        next = new URL(location, next).href
        continue
      }
      const page = await response.text()
      const [, action] = /<form[^>]* action="([^"]+)"/.exec(page) ?? []
      const [, prompt = ''] = /name="prompt" value="(\w+)"/.exec(page) ?? []
      if (action === undefined) throw new Error(`no way on from ${next}: ${response.status} ${page.slice(0, 300)}`)
      const answer = await visit(new URL(action, next).href, {
        method: 'POST',
        body: new URLSearchParams({ prompt, login: name, password: 'any' }),
      })
      next = new URL(answer.headers.get('location') ?? '', next).href
    }
    throw new Error(`no end of the way: ${next}`)
  }
  return { visit, follow, cookies }
}
