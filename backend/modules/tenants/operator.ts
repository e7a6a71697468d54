import { type Ctx, type Operator, systemCtx } from '../../kernel/context.ts'

/** A platform operator acting on a tenant: its log names him, and he is none of its users. */
export const operatorCtx = ({ id, email, requestId, ip, userAgent }: Operator, tenantId: string): Ctx =>
  systemCtx(tenantId, {
    actor: { id, type: 'system', name: `${email} (platform operator)` },
    ...{ requestId, ip, userAgent },
  })
