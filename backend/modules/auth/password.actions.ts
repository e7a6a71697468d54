import sql from 'sql-template-tag'
import { claimAccount } from '../../entities/users/account.actions.ts'
import { endAccountSessions } from '../../entities/users/session.actions.ts'
import { type Ctx, systemCtx } from '../../kernel/context.ts'
import type { Tx } from '../../kernel/db/database.ts'
import { invalidMember } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import type { Caller } from '../../kernel/http/route.ts'
import { checkPassword, hashPassword } from '../../kernel/password.ts'
import { type Account, ownAccount } from './account.queries.ts'
import { issueToken, readToken, useToken } from './account-tokens.ts'
import { passwordClaim } from './attempts.ts'
import type { AuthDeps } from './deps.ts'
import { homeCtx } from './members.ts'

/** Mails a link to choose a new password, where the email is an account's. For an unknown one it does as much. */
export async function forgotPassword({ db, tokens }: AuthDeps, caller: Caller, email: string): Promise<void> {
  const [account] = await db.anonymous(sql`select id from find_account(${email})`)
  const [home] = await db.anonymous(sql`select tenant_id, user_id from find_membership(${account?.id ?? null})`)
  const { requestId, ip, userAgent } = caller
  // Nobody has proved who he is: the account's owner did not do this.
  const ctx = systemCtx(home?.tenant_id ?? nowhere, { requestId, ip, userAgent })
  await db.transaction(ctx, async (tx) => {
    const tokenId = await issueToken(tx, tokens, 'reset_password', home && account?.id)
    if (tokenId !== undefined)
      await appendEvents(tx, [
        { name: 'user.password_reset_requested', type: 'user', recordId: home?.user_id, data: { tokenId } },
      ])
  })
}

const nowhere = '00000000-0000-0000-0000-000000000000'

/** Sets a new password by the link of a mail, and signs every device out. */
export async function resetPassword(deps: AuthDeps, caller: Caller, sent: string, password: string): Promise<void> {
  const token = await readToken(deps.db, sent, 'reset_password')
  const ctx = await homeCtx(deps, caller, token.accountId)
  const hash = await hashPassword(password)
  await deps.db.transaction(ctx, async (tx) => {
    await useToken(tx, token, 'reset_password')
    await claimAccount(tx, ctx.actor.id ?? '', token.email, hash)
    await setPassword(tx, token.accountId, hash, 'reset')
  })
}

/** Changes the password of who is signed in, and signs his other devices out, in all his tenants. */
export async function changePassword(deps: AuthDeps, ctx: Ctx, current: string, password: string): Promise<void> {
  const account = await provedAccount(deps, ctx, 'currentPassword', current)
  const hash = await hashPassword(password)
  await deps.db.transaction(ctx, (tx) => setPassword(tx, account.id, hash, 'changed'))
}

/** The account of who acts, once he has shown its password: a session alone may be another's. A wrong one counts as at sign-in. */
export async function provedAccount(deps: AuthDeps, ctx: Ctx, member: string, password: string): Promise<Account> {
  const account = await ownAccount(deps.db.tenant(ctx))
  const wrong = () => invalidMember(member, 'is not your password', 'wrong_password')
  const { withdraw } = await deps.attempts.attempt(ctx, passwordClaim(account.email, wrong), async () =>
    (await checkPassword(password, account.passwordHash)) ? account : undefined,
  )
  await withdraw()
  return account
}

async function setPassword(tx: Tx, accountId: string, hash: string, how: 'changed' | 'reset'): Promise<void> {
  await tx.query(sql`select set_account_password(${accountId}, ${hash})`)
  await endAccountSessions(tx, accountId, 'password_changed')
  await appendEvents(tx, [{ name: 'user.password_changed', type: 'user', recordId: tx.ctx.actor.id, data: { how } }])
}
