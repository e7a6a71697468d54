import { z } from 'zod'

const role = z.enum(['admin', 'manager', 'member', 'viewer'])

const origin = z.url({ protocol: /^https?$/ }).refine(isSafe, { message: 'must be https, or on the loopback' })

/** An OpenID issuer whose people sign in here, as the configuration names it. */
export const issuerSchema = z
  .strictObject({
    /** In the path of its calls: `/auth/oidc/{id}/start`. */
    id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,40}$/, 'must be small letters, digits and dashes'),
    name: z.string().min(1).max(100).optional(),
    issuer: origin,
    clientId: z.string().min(1),
    clientSecret: z.string().min(1).optional(),
    /** What `aud` of a bearer token must be; without it no bearer token of this issuer is taken. */
    audience: z.string().min(1).optional(),
    scopes: z.string().min(1).default('openid email profile'),
    tenant: z.guid().optional(),
    /** The claim that holds the tenant's id. */
    tenantClaim: z.string().min(1).optional(),
    rolesClaim: z.string().min(1).default('roles'),
    /** A value of the claim → a role here. The mightiest of several is taken. */
    roles: z.record(z.string(), role).default({}),
    /** The role of who has none of these; without it nobody else gets in, as soon as `roles` names any. */
    defaultRole: role.optional(),
    /** Whether who is not known becomes a member at his first sign-in. */
    jit: z.boolean().default(false),
    /** Whether it sees to a second factor itself: else its `amr` says which sign-ins had one. */
    secondFactor: z.boolean().default(false),
    /** Domains of email that are the issuer's to speak for: only in these is an existing account taken over. */
    domains: z.array(z.string().regex(/^[a-z0-9.-]+$/, 'must be a domain in small letters')).default([]),
    /** The page to which browsers go after a sign-in, with `code` or `error` in its query. */
    page: origin.optional(),
  })
  .refine((issuer) => (issuer.tenant === undefined) !== (issuer.tenantClaim === undefined), {
    message: 'must have either tenant or tenantClaim',
  })
  .refine((issuer) => issuer.audience !== issuer.clientId, {
    message:
      'audience must differ from clientId: else the tokens that only tell the client who signed in would open the API',
  })

export type Issuer = z.output<typeof issuerSchema>

/** Whether nobody between us can read it: https, or this machine. */
function isSafe(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  return protocol === 'https:' || ['127.0.0.1', 'localhost', '[::1]'].includes(hostname)
}

/** The variable of the environment: a JSON list, in which no id and no issuer comes twice. */
export const issuersSchema = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text)
    } catch {
      context.addIssue({ code: 'custom', message: 'must be a JSON list of issuers' })
      return z.NEVER
    }
  })
  .pipe(z.array(issuerSchema))
  .refine((issuers) => isUnique(issuers.map(({ id }) => id)) && isUnique(issuers.map(({ issuer }) => issuer)), {
    message: 'must name each id and each issuer once',
  })

const isUnique = (values: readonly string[]): boolean => new Set(values).size === values.length
