import type { EmailOutlet } from '../adapters/email/index.ts'
import type { FileStore } from '../adapters/files/index.ts'
import { addProductLines } from '../entities/deals/line-item.actions.ts'
import type { Entities } from '../entities/index.ts'
import { task } from '../entities/tasks/task.entity.ts'
import type { Plans } from '../entities/tenants/plans.ts'
import type { Catalogue } from '../events.ts'
import type { Database } from '../kernel/db/database.ts'
import type { CustomFields } from '../kernel/entity/custom.ts'
import type { RateCounter } from '../kernel/http/rate-counter.ts'
import type { RateStore } from '../kernel/http/rate-store.port.ts'
import type { Logger } from '../kernel/log.ts'
import type { Module } from '../kernel/module.ts'
import { accessModule } from './access/access.module.ts'
import { signedIn, signInSchema } from './auth/answers.ts'
import { proveMember, startSession } from './auth/auth.actions.ts'
import { provedByBearer } from './auth/bearer.ts'
import { render } from './auth/mails/letter.ts'
import { accessTokenSeconds } from './auth/tokens.ts'
import { contactingModule } from './contacting/contacting.module.ts'
import { duplicatesModule } from './duplicates/duplicates.module.ts'
import { exportFilesAmong } from './exports/export.queries.ts'
import { exportsModule } from './exports/exports.module.ts'
import { filesModule } from './files/files.module.ts'
import { handoverModule } from './handover/handover.module.ts'
import type { Identity } from './identity.ts'
import { importFilesAmong } from './imports/import.queries.ts'
import { importsModule } from './imports/imports.module.ts'
import { invitationsModule } from './invitations/invitations.module.ts'
import { limitsModule } from './limits/limits.module.ts'
import { mergingModule } from './merging/merging.module.ts'

import { type Inbox, notificationsModule } from './notifications/notifications.module.ts'
import { presenceModule } from './presence/presence.module.ts'
import type { Presence } from './presence/presence.ts'
import { purgeModule } from './purge/purge.module.ts'
import { remindersModule } from './reminders/reminders.module.ts'
import { rottingModule } from './rotting/rotting.module.ts'
import { scoringModule } from './scoring/scoring.module.ts'
import { type Search, searchModule } from './search/search.module.ts'
import { tenantsModule } from './tenants/tenants.module.ts'
import { timelineModule } from './timeline/timeline.module.ts'

/** What the modules are built of. */
export interface House {
  readonly db: Database
  readonly log: Logger
  readonly entities: Entities
  readonly customFields: CustomFields
  readonly catalogue: Catalogue
  readonly identity: Identity
  readonly plans: Plans
  readonly store: FileStore
  readonly email: EmailOutlet['email']
  readonly counter: RateCounter
  readonly rates: RateStore
  /** How browsers reach this installation, and whether by https. */
  base(): string
  readonly secureCookies: boolean
  /** Has the subscriptions look at once for what was appended outside of a request. */
  woken(): void
  /** For how many full months the timeline keeps what was done; undefined: for ever. */
  readonly timelineKeepMonths: number | undefined
}

/** The modules, and what those that are built last need of them. */
export interface Modules {
  /** In the order of their starts. */
  readonly all: readonly Module[]
  readonly find: Search['find']
  readonly inbox: Inbox
  readonly presence: Presence
}

/** Builds what the product does with events and for people. */
export function createModules(house: House): Modules {
  const { db, log, customFields, catalogue, identity, plans, store, base } = house
  const { registry, repository, tabular, restorable, list } = house.entities
  const { accounts, authenticator, rightsOf, rightsOfUsers } = identity
  const { users, tokens, defaultPlan } = accounts
  const { files } = store
  const entities = registry.entities
  const cookies = { secureCookies: house.secureCookies }
  const search = searchModule({ db, log, entities })
  const notifications = notificationsModule({ db, log, entities, rightsOf: rightsOfUsers })
  const online = presenceModule({ db, log, woken: house.woken })
  return {
    find: search.find,
    inbox: notifications.inbox,
    presence: online.presence,
    all: [
      ...identity.modules,
      limitsModule({ db, log, counter: house.counter, store: house.rates }),
      tenantsModule({
        ...{ db, plans, defaultPlan, users },
        accessToken: ({ userId, tenantId, role, sessionId }) =>
          tokens.issueAccess({ sub: userId, tid: tenantId, role, sid: sessionId }),
        accessSeconds: accessTokenSeconds,
      }),
      invitationsModule({
        ...{ db, users, plans, base, signInSchema, mark: tokens.mark },
        post: async (id, to, letter) => void (await house.email.send({ id, to, ...render(to.name, letter) })),
        prove: (caller, credentials) => proveMember(accounts, caller, credentials),
        provedBy: (caller) => provedByBearer(db, authenticator, caller),
        startSession: (tx, account, userId, caller, factor) =>
          startSession(accounts, tx, account, userId, caller, factor),
        signedIn: (signIn, cookie) => signedIn(200, signIn, cookie, cookies),
      }),
      online.module,
      handoverModule({ db, entities, repository }),
      timelineModule({ db, log, entities, catalogue, keepMonths: house.timelineKeepMonths }),
      search.module,
      notifications.module,
      rottingModule({ db }),
      remindersModule({ db, task }),
      contactingModule({ db, repository }),
      purgeModule({ db, entities: restorable }),
      scoringModule({ db, repository }),
      duplicatesModule({ db, entities, repository }),
      mergingModule({ db, entities, repository }),
      importsModule({
        ...{ db, files, registry, customFields, repository, rightsOf },
        importable: tabular,
        addLines: (tx, lines) => addProductLines(tx, house.entities, lines),
      }),
      exportsModule({
        ...{ db, files, registry, customFields, rightsOf },
        exportable: tabular,
        list: (type) => list(type, search.find),
      }),
      filesModule({
        files,
        needed: {
          imports: (keys) => importFilesAmong(db.worker, keys),
          exports: (keys) => exportFilesAmong(db.worker, keys),
        },
      }),
      accessModule({ db, entities, repository, rightsOf: rightsOfUsers }),
    ],
  }
}
