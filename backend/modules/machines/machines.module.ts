import sql from 'sql-template-tag'
import type { Bearer } from '../../kernel/http/authenticator.ts'
import { sweep } from '../../kernel/jobs/sweep.ts'
import type { Module } from '../../kernel/module.ts'
import type { Rights } from '../../kernel/rights.ts'
import { createServiceTokens } from './access-tokens.ts'
import { machineRoutes } from './machine.routes.ts'
import { machineKinds } from './machine.ts'
import { createMachinePrincipals, type MachineDeps, type MachinePrincipals } from './principals.ts'
import { tokenRoute } from './token.routes.ts'

/** API keys and service accounts: programs that act in a tenant. */
export interface Machines {
  readonly module: Module
  /** Their tokens, for the server and the sockets. */
  readonly bearers: readonly Bearer[]
  readonly forget: MachinePrincipals['forget']
  rightsOf(tenantId: string, id: string): Promise<Rights | undefined>
}

/** Makes the module. `resources`: what scopes may be of. */
export function machinesModule(
  deps: Omit<MachineDeps, 'tokens'> & {
    readonly secret: string
    readonly resources: readonly string[]
    /** Throws 403 for a tenant that is suspended. */
    refuseSuspended(tenantId: string): Promise<void>
  },
): Machines {
  const tokens = createServiceTokens(deps.secret)
  const principals = createMachinePrincipals({ ...deps, tokens })
  const resources = new Set(deps.resources)
  return {
    bearers: [principals.keys, principals.services],
    forget: principals.forget,
    rightsOf: principals.rightsOf,
    module: {
      name: 'machines',
      routes: [
        ...machineKinds.flatMap((kind) => machineRoutes(deps.db, kind, resources)),
        tokenRoute(principals, tokens, deps.refuseSuspended),
      ],
      schedules: [
        // Secrets whose overlap is over let nobody in; they go so that their prefixes say nothing any more.
        sweep(
          deps.db,
          { name: 'machine-secrets.expire', cron: '50 * * * *' },
          { secrets: { table: 'machine_secrets', where: sql`expires_at < now() - interval '1 day'` } },
        ),
      ],
    },
  }
}
