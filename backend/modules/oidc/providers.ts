import { createRemoteJWKSet, errors, type JWTVerifyGetKey, jwtVerify } from 'jose'
import * as openid from 'openid-client'
import { unauthenticated, unavailable } from '../../kernel/errors.ts'
import type { Issuer } from '../../kernel/issuers.ts'
import type { Logger } from '../../kernel/log.ts'
import type { RawClaims } from './claims.ts'

/** An issuer that we have looked up. */
export interface Provider {
  readonly issuer: Issuer
  /** What openid-client needs for the code flow. 503 while the issuer cannot be reached. */
  configuration(): Promise<openid.Configuration>
  /** The claims of a bearer token. Throws 401 when it is not good, 503 while the issuer's keys cannot be had. */
  verify(token: string): Promise<RawClaims & { readonly exp: number }>
}

/** What a token may be signed with: only what needs a private key that we do not have. */
const asymmetric = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

/** Types of the header that an access token has (RFC 9068, section 4); older issuers say only that it is a JWT. */
const types = ['at+jwt', 'application/at+jwt', 'jwt']

/** Makes the provider of an issuer. It is looked up at its first use, and again as long as that fails. */
export function createProvider(issuer: Issuer, log: Logger): Provider {
  let discovered: Promise<openid.Configuration> | undefined
  let keys: { readonly uri: string; readonly get: JWTVerifyGetKey } | undefined

  const configuration = (): Promise<openid.Configuration> => {
    discovered ??= discover(issuer)
    const found = discovered
    return found.catch((error: unknown) => {
      if (discovered === found) discovered = undefined
      log.warn({ err: error, provider: issuer.id }, 'an OpenID issuer could not be looked up')
      throw unavailable('The sign-in of this provider cannot be reached; try again in a moment')
    })
  }
  // An unknown key is fetched for at most once in half a minute: a forger who makes ids up costs the issuer nothing more.
  const keysOf = async (): Promise<JWTVerifyGetKey> => {
    const uri = (await configuration()).serverMetadata().jwks_uri
    if (uri === undefined) throw unavailable('The provider shows no keys')
    if (keys?.uri !== uri)
      keys = {
        uri,
        get: createRemoteJWKSet(new URL(uri), {
          cooldownDuration: 30_000,
          cacheMaxAge: 600_000,
          timeoutDuration: 5_000,
        }),
      }
    return keys.get
  }

  return {
    issuer,
    configuration,
    verify: async (token) => {
      const { audience } = issuer
      if (audience === undefined) throw unauthenticated()
      try {
        const { payload, protectedHeader } = await jwtVerify(token, await keysOf(), {
          issuer: issuer.issuer,
          audience,
          algorithms: asymmetric,
          requiredClaims: ['sub', 'exp'],
          clockTolerance: 5,
        })
        const { typ = 'jwt' } = protectedHeader
        if (!types.includes(typ.toLowerCase()) || isForAnother(payload)) throw unauthenticated()
        return { ...payload, exp: payload.exp ?? 0 }
      } catch (error) {
        throw refusalOf(error, issuer, log)
      }
    },
  }
}

async function discover(issuer: Issuer): Promise<openid.Configuration> {
  const { clientId, clientSecret } = issuer
  const url = new URL(issuer.issuer)
  const execute = [
    openid.enableNonRepudiationChecks,
    ...(url.protocol === 'http:' ? [openid.allowInsecureRequests] : []),
  ]
  const authentication = clientSecret === undefined ? openid.None() : openid.ClientSecretPost(clientSecret)
  return openid.discovery(url, clientId, clientSecret, authentication, { execute, timeout: 5 })
}

/** A token that tells a client who signed in, refreshes or signs out is no key to an API. Keycloak says so in `typ` of the claims. */
const isForAnother = ({ nonce, at_hash, events, typ }: RawClaims): boolean =>
  nonce !== undefined || at_hash !== undefined || events !== undefined || (typ !== undefined && typ !== 'Bearer')

function refusalOf(error: unknown, issuer: Issuer, log: Logger): unknown {
  if (error instanceof errors.JWTExpired) return unauthenticated('The access token has expired')
  if (error instanceof errors.JWKSTimeout || !(error instanceof errors.JOSEError)) {
    if (error instanceof Error && 'status' in error) return error
    log.warn({ err: error, provider: issuer.id }, 'the keys of an OpenID issuer could not be had')
    return unavailable('The keys of this provider cannot be had; try again in a moment')
  }
  return unauthenticated()
}
