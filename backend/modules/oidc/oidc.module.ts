import sql from 'sql-template-tag'
import type { Bearer } from '../../kernel/http/authenticator.ts'
import type { Recall } from '../../kernel/http/recall.ts'
import type { Issuer } from '../../kernel/issuers.ts'
import { sweep } from '../../kernel/jobs/sweep.ts'
import type { Module } from '../../kernel/module.ts'
import type { BearerDeps } from './bearers.ts'
import { openidBearer } from './bearers.ts'
import { createProvider } from './providers.ts'
import { type SignInRoutes, signInRoutes } from './sign-in.routes.ts'

/** Sign-in with OpenID issuers, and their tokens as bearer tokens. */
export interface OpenId {
  readonly module: Module
  readonly bearer: Bearer & Pick<Recall<unknown>, 'forget'>
}

/** Makes the module for the issuers of the configuration. */
export function oidcModule(
  deps: Omit<SignInRoutes, 'providers'> & Omit<BearerDeps, 'providers'> & { readonly issuers: readonly Issuer[] },
): OpenId {
  const providers = deps.issuers.map((issuer) => createProvider(issuer, deps.log))
  return {
    bearer: openidBearer({ ...deps, providers }),
    module: {
      name: 'oidc',
      routes: signInRoutes({ ...deps, providers }),
      schedules: [
        // Attempts and codes that nobody came back with.
        sweep(
          deps.db,
          { name: 'openid-attempts.expire', cron: '55 * * * *' },
          {
            attempts: { table: 'openid_attempts', where: sql`expires_at < now()` },
            codes: { table: 'openid_codes', where: sql`expires_at < now()` },
          },
        ),
      ],
    },
  }
}
