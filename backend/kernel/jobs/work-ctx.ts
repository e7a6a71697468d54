import { type Actor, type Ctx, systemCtx } from '../context.ts'
import type { Work } from './job.ts'

/** Under whose name a job works. */
interface Worker extends Partial<Ctx> {
  readonly actor: Actor
}

/** The context of a job's work: it belongs to the request that asked for it, and may do everything unless rights are said. */
export const workCtx = ({ tenantId, requestId, operationId }: Work<unknown>, worker: Worker): Ctx =>
  systemCtx(tenantId, { requestId, operationId, ...worker })
