import sql from 'sql-template-tag'
import type { Database } from '../../kernel/db/database.ts'
import type { Bearer } from '../../kernel/http/authenticator.ts'
import type { Recall } from '../../kernel/http/recall.ts'
import type { Issuer } from '../../kernel/issuers.ts'
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
        {
          name: 'openid-attempts.expire',
          queue: 'cleanup',
          cron: '55 * * * *',
          run: ({ dryRun }) => expire(deps.db, dryRun),
        },
      ],
    },
  }
}

/** Attempts and codes that nobody came back with. */
async function expire(db: Database, dryRun: boolean): Promise<{ attempts: number; codes: number }> {
  const [row] = await db.worker.query(
    dryRun
      ? sql`select (select count(*) from openid_attempts where expires_at < now())::integer as attempts,
                   (select count(*) from openid_codes where expires_at < now())::integer as codes`
      : sql`with attempts as (delete from openid_attempts where expires_at < now() returning 1),
              codes as (delete from openid_codes where expires_at < now() returning 1)
            select (select count(*) from attempts)::integer as attempts, (select count(*) from codes)::integer as codes`,
  )
  return { attempts: row?.attempts ?? 0, codes: row?.codes ?? 0 }
}
