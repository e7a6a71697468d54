import type { Email } from '../adapters/email/email.port.ts'
import type { Plans } from '../entities/tenants/plans.ts'
import { createStandings, holdingTenants, refuseSuspended } from '../entities/tenants/standing.ts'
import { systemCtx } from '../kernel/context.ts'
import type { Database } from '../kernel/db/database.ts'
import type { Repository } from '../kernel/entity/repository.ts'
import type { DomainEvent } from '../kernel/events/event.ts'
import { type Authenticator, withBearers } from '../kernel/http/authenticator.ts'
import type { Issuer } from '../kernel/issuers.ts'
import type { Logger } from '../kernel/log.ts'
import type { Module } from '../kernel/module.ts'
import type { Rights } from '../kernel/rights.ts'
import { createSecrets } from '../kernel/secrets.ts'
import { signedIn, signInSchema } from './auth/answers.ts'
import { createAttempts } from './auth/attempts.ts'
import { signInMember } from './auth/auth.actions.ts'
import { authModule } from './auth/auth.module.ts'
import type { AuthDeps } from './auth/deps.ts'
import { createOperators } from './auth/operators.ts'
import { createPrincipals, type Principals } from './auth/principals.ts'
import { createTokens } from './auth/tokens.ts'
import { machinesModule } from './machines/machines.module.ts'
import { oidcModule } from './oidc/oidc.module.ts'

/** What of the configuration concerns who signs in. */
export interface IdentitySettings {
  readonly jwtSecret: string
  readonly encryptionKey: string
  readonly oldEncryptionKeys: readonly string[]
  readonly platformAdmin: { readonly email: string; readonly password: string } | undefined
  readonly registration: 'open' | 'invite' | 'off'
  readonly defaultPlan: string
  readonly issuers: readonly Issuer[]
  readonly corsOrigins: readonly string[]
}

/** What signing in is built of. */
export interface IdentityParts {
  readonly db: Database
  readonly log: Logger
  readonly email: Email
  readonly users: Repository
  readonly plans: Plans
  /** Types of records, which permissions and scopes name. */
  readonly types: readonly string[]
  /** How browsers reach this installation, and whether by https. */
  base(): string
  readonly secureCookies: boolean
}

/** Who may call, and what is remembered of them. */
export interface Identity {
  readonly modules: readonly Module[]
  /** What accounts are worked with, for those who take people in. */
  readonly accounts: AuthDeps
  /** Says who somebody is by a token of any kind, if the standing of his tenant lets him in. */
  readonly authenticator: Authenticator
  /** What users may do, of all tenants at once. */
  readonly rightsOfUsers: Principals['rightsOf']
  /** What a user, a key or a service may do; undefined for who is not there. */
  rightsOf(tenantId: string, id: string): Promise<Rights | undefined>
  /** Drops what is remembered of whom events concern. */
  forget(events: readonly Pick<DomainEvent, 'tenantId' | 'type'>[]): void
}

/** Builds sign-in, keys, services and OpenID, and the one who tells by their tokens who is there. */
export function createIdentity(parts: IdentityParts, settings: IdentitySettings): Identity {
  const { db, log, email, users, plans, types, base, secureCookies } = parts
  const { registration, defaultPlan, corsOrigins: origins } = settings
  const tokens = createTokens(settings.jwtSecret)
  const secrets = createSecrets([settings.encryptionKey, ...settings.oldEncryptionKeys])
  const operators = createOperators({ db, tokens, log, configured: settings.platformAdmin })
  const accounts: AuthDeps = {
    ...{ db, tokens, users, operators, defaultPlan, secrets, base, origins },
    attempts: createAttempts(db),
  }
  const principals = createPrincipals(db, tokens, operators)
  const standings = createStandings((tenantId) => db.tenant(systemCtx(tenantId)), plans)
  const rightsOfUser = async (tenantId: string, id: string) =>
    (await principals.rightsOf([{ tenantId, id }]))({ tenantId, id })
  const machines = machinesModule({
    ...{ db, log, secret: settings.jwtSecret },
    resources: [...types, 'comment'],
    rightsOf: rightsOfUser,
    refuseSuspended: (tenantId) => refuseSuspended(standings, tenantId),
  })
  const oidc = oidcModule({
    ...{ db, log, users, base, secureCookies, signInSchema },
    issuers: settings.issuers,
    rightsOf: rightsOfUser,
    signIn: async (caller, known, cookie) =>
      signedIn(200, await signInMember(accounts, caller, known), cookie, { secureCookies }),
  })
  const auth = authModule({ ...accounts, email, registration, secureCookies, types })
  const rememberers = [principals, standings, machines, oidc.bearer]
  return {
    modules: [auth, machines.module, oidc.module],
    accounts,
    authenticator: holdingTenants(withBearers(principals, [...machines.bearers, oidc.bearer]), standings),
    rightsOfUsers: principals.rightsOf,
    rightsOf: async (tenantId, id) => (await rightsOfUser(tenantId, id)) ?? machines.rightsOf(tenantId, id),
    forget: (events) => {
      for (const each of rememberers) each.forget(events)
    },
  }
}
