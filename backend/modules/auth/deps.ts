import type { Database } from '../../kernel/db/database.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import type { Secrets } from '../../kernel/secrets.ts'
import type { Attempts } from './attempts.ts'
import type { Operators } from './operators.ts'
import type { Tokens } from './tokens.ts'

/** What signing in and accounts are done with. */
export interface AuthDeps {
  readonly db: Database
  readonly tokens: Tokens
  readonly users: Repository
  readonly operators: Operators
  /** The plan of a new tenant. */
  readonly defaultPlan: string
  readonly attempts: Attempts
  readonly secrets: Secrets
  /** How browsers reach this installation, for links and passkeys. */
  base(): string
  /** Other pages from which browsers may call it. */
  readonly origins: readonly string[]
}
