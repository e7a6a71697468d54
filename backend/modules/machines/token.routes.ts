import { z } from 'zod'
import { type Answer, type Caller, publicRoute, type Route } from '../../kernel/http/route.ts'
import { isId } from '../../kernel/ids.ts'
import { type ServiceTokens, serviceTokenSeconds } from './access-tokens.ts'
import type { MachinePrincipals } from './principals.ts'

const formSchema = z.object({
  grant_type: z.literal('client_credentials'),
  client_id: z.string().optional(),
  client_secret: z.string().optional(),
  scope: z.string().optional().meta({ description: 'Fewer than its scopes, with blanks between; absent: all' }),
})

const errorSchema = z.object({ error: z.string(), error_description: z.string() }).meta({ id: 'OAuthError' })

/** `POST /auth/token`: client credentials for an access token (RFC 6749, section 4.4), and its errors in the words of section 5.2. */
export function tokenRoute(
  principals: MachinePrincipals,
  tokens: ServiceTokens,
  refuseSuspended: (tenantId: string) => Promise<void>,
): Route {
  return publicRoute({
    method: 'post',
    path: '/auth/token',
    operationId: 'token',
    summary: 'Give a service account its access token',
    description:
      'Client credentials as OAuth 2.0 has them, in the header `Authorization: Basic` or in the body, never in both',
    tag: 'auth',
    urlencoded: formSchema,
    responses: {
      200: {
        description: 'The token',
        schema: z
          .object({
            access_token: z.string(),
            token_type: z.literal('Bearer'),
            expires_in: z.int(),
            scope: z.string(),
          })
          .meta({ id: 'AccessToken' }),
        headers: ['Cache-Control'],
      },
      400: { description: 'The request is not one that is offered', schema: errorSchema },
      401: { description: 'The client is not known, or its secret is wrong', schema: errorSchema },
    },
    problems: [403],
    handle: async (caller, { rawBody }) => {
      const form = formOf(caller.header('Content-Type'), rawBody)
      if (!form) return refusal('invalid_request', 'Send application/x-www-form-urlencoded, and each member once')
      const sent = credentialsOf(caller, form)
      if (sent === 'both')
        return refusal('invalid_request', 'Send the credentials in the header or in the body, not both')
      const { grant_type: grant, scope = '' } = form
      if (grant === undefined) return refusal('invalid_request', 'grant_type is required')
      if (grant !== 'client_credentials') return refusal('unsupported_grant_type', 'Only client_credentials is offered')
      const found = sent && isId(sent.id) ? await principals.service(sent.id, sent.secret, caller) : undefined
      if (!found) return refusal('invalid_client', 'The client is not known, or its secret is wrong')
      const { tenantId, prefix, machine } = found
      await refuseSuspended(tenantId)
      const asked = scope.split(' ').filter((each) => each !== '')
      if (asked.some((each) => !machine.scopes.includes(each)))
        return refusal('invalid_scope', 'A scope is asked for that this service account has not')
      return {
        status: 200,
        headers: uncached,
        body: {
          access_token: tokens.issue({
            sub: machine.id,
            tid: tenantId,
            prefix,
            ...(asked.length > 0 ? { scope: asked.join(' ') } : {}),
          }),
          token_type: 'Bearer',
          expires_in: serviceTokenSeconds,
          scope: (asked.length > 0 ? asked : machine.scopes).join(' '),
        },
      }
    },
  })
}

/** The members of the form; undefined when it is none, or one comes twice. A member without a value is not there. */
function formOf(contentType: string | undefined, bytes: unknown): Readonly<Record<string, string>> | undefined {
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(contentType ?? '') || !Buffer.isBuffer(bytes))
    return undefined
  const members = [...new URLSearchParams(bytes.toString('utf8'))]
  if (new Set(members.map(([name]) => name)).size < members.length) return undefined
  return Object.assign(Object.create(null), Object.fromEntries(members.filter(([, value]) => value !== '')))
}

interface Credentials {
  readonly id: string
  readonly secret: string
}

function credentialsOf(caller: Caller, form: Readonly<Record<string, string>>): Credentials | 'both' | undefined {
  const header = caller.header('Authorization')
  const { client_id: id, client_secret: secret } = form
  // A token of somebody who is signed in as well is no credential of a client.
  if (header === undefined || /^Bearer /i.test(header))
    return id === undefined || secret === undefined ? undefined : { id, secret }
  if (secret !== undefined) return 'both'
  return basic(header)
}

/** Both halves are encoded as in a form before they are joined (RFC 6749, section 2.3.1). */
function basic(header: string): Credentials | undefined {
  const [, encoded = ''] = /^Basic +([\w+/=-]+) *$/i.exec(header) ?? []
  const [, id, secret] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString('utf8')) ?? []
  if (id === undefined || secret === undefined) return undefined
  const decoded = new URLSearchParams(`id=${id}&secret=${secret}`)
  return { id: decoded.get('id') ?? '', secret: decoded.get('secret') ?? '' }
}

const uncached = { 'Cache-Control': 'no-store', Pragma: 'no-cache' }

const refusal = (error: string, description: string): Answer => ({
  status: error === 'invalid_client' ? 401 : 400,
  headers: { ...uncached, ...(error === 'invalid_client' ? { 'WWW-Authenticate': 'Basic realm="token"' } : {}) },
  body: { error, error_description: description },
})
