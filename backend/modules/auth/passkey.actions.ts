import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server'
import sql from 'sql-template-tag'
import { endAccountSessions } from '../../entities/users/session.actions.ts'
import type { Ctx } from '../../kernel/context.ts'
import type { Database } from '../../kernel/db/database.ts'
import { conflict, forbidden, invalidMember, notFound, type Problem, unauthenticated } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import type { Caller } from '../../kernel/http/route.ts'
import { newId } from '../../kernel/ids.ts'
import { type Account, ownAccount } from './account.queries.ts'
import { type SignIn, startSession } from './auth.actions.ts'
import type { AuthDeps } from './deps.ts'
import { homeCtx } from './members.ts'
import {
  addPasskey,
  challengeSeconds,
  findPasskey,
  keepChallenge,
  listPasskeys,
  type Passkey,
  removePasskey,
  useChallenge,
  usePasskey,
} from './passkey.queries.ts'
import { provedAccount } from './password.actions.ts'
import { noteShown, refuseWeakSession } from './two-factor.actions.ts'

/** What the browser of who is signed in makes a passkey with. The password is asked for: a session alone may be another's. */
export async function passkeyOptions(deps: AuthDeps, ctx: Ctx, password: string): Promise<object> {
  const account = await provedAccount(deps, ctx, 'password', password)
  await refuseWeakSession(deps.db.tenant(ctx), account.id)
  const { generateRegistrationOptions } = await library()
  const known = await listPasskeys(deps.db, account.id)
  const options = await generateRegistrationOptions({
    rpName: 'ClientForge',
    rpID: partyOf(deps).id,
    userID: Uint8Array.from(Buffer.from(account.id.replaceAll('-', ''), 'hex')),
    userName: account.email,
    userDisplayName: account.name,
    timeout: challengeSeconds * 1000,
    attestationType: 'none',
    supportedAlgorithmIDs: algorithms,
    excludeCredentials: known.map(({ credentialId, transports }) => ({
      id: credentialId,
      transports: [...transports],
    })),
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
  })
  await keepChallenge(deps.db, options.challenge, account.id)
  return options
}

/** Keeps the passkey that the browser made. */
export async function registerPasskey(
  deps: AuthDeps,
  ctx: Ctx,
  name: string,
  response: RegistrationResponseJSON,
): Promise<{ id: string; name: string }> {
  const account = await ownAccount(deps.db.tenant(ctx))
  const { verifyRegistrationResponse } = await library()
  const made = await answered(deps.db, account.id, wrongPasskey, (expectedChallenge) =>
    verifyRegistrationResponse({
      response,
      expectedChallenge,
      expectedOrigin: partyOf(deps).origins,
      expectedRPID: partyOf(deps).id,
      supportedAlgorithmIDs: algorithms,
      requireUserVerification: true,
    }),
  )
  if (!made.registrationInfo) throw wrongPasskey()
  const { credential, credentialBackedUp: backedUp } = made.registrationInfo
  const id = newId()
  const { publicKey, counter } = credential
  const transports = response.response.transports ?? []
  await deps.db.transaction(ctx, async (tx) => {
    const kept = { id, credentialId: credential.id, publicKey, counter, transports, backedUp, name }
    if (!(await addPasskey(tx, account.id, kept)))
      throw conflict('This passkey is known already, or you have twenty: remove one first')
    await noteShown(tx, { kind: 'passkey', passkeyId: id })
    await appendEvents(tx, [
      { name: 'user.passkey_added', type: 'user', recordId: ctx.actor.id, data: { passkeyId: id, name } },
    ])
  })
  return { id, name }
}

/** The passkeys of who is signed in. */
export async function ownPasskeys({ db }: AuthDeps, ctx: Ctx): Promise<readonly Passkey[]> {
  return listPasskeys(db, (await ownAccount(db.tenant(ctx))).id)
}

/**
 * Takes one of them away, and ends the sessions in which it was shown: who has it is out. Only the session in which this is
 * done stays, as one of one factor. The password is asked for, as for a new one; of who has none a sign-in of just now.
 */
export async function dropPasskey(deps: AuthDeps, ctx: Ctx, id: string, password: string | undefined): Promise<void> {
  const account = await provedOwner(deps, ctx, password)
  await deps.db.transaction(ctx, async (tx) => {
    if (!(await removePasskey(tx, account.id, id))) throw notFound()
    await endAccountSessions(tx, account.id, 'passkey_removed', id)
    await tx.query(sql`
      update sessions set second_factor = null, passkey_id = null
      where tenant_id = ${ctx.tenantId} and id = ${ctx.sessionId} and second_factor = 'passkey'
        and coalesce(passkey_id, ${id}) = ${id}`)
    await appendEvents(tx, [
      { name: 'user.passkey_removed', type: 'user', recordId: ctx.actor.id, data: { passkeyId: id } },
    ])
  })
}

/** Minutes after a sign-in with a second factor in which it stands in for a password that there is not. */
const freshMinutes = 10

async function provedOwner(deps: AuthDeps, ctx: Ctx, password: string | undefined): Promise<Account> {
  if (password !== undefined) return provedAccount(deps, ctx, 'password', password)
  const account = await ownAccount(deps.db.tenant(ctx))
  if (account.passwordHash !== null) throw invalidMember('password', 'is required', 'required')
  const [fresh] = await deps.db.tenant(ctx).query(sql`
    select 1 from sessions where tenant_id = ${ctx.tenantId} and id = ${ctx.sessionId} and second_factor <> 'issuer'
      and created_at > now() - make_interval(mins => ${freshMinutes})`)
  if (!fresh) throw forbidden('Sign in with your second factor again before you take one away')
  return account
}

/** What a browser asks its passkeys for at sign-in. It names nobody: the passkey says whose it is. */
export async function signInOptions(deps: AuthDeps): Promise<object> {
  const { generateAuthenticationOptions } = await library()
  const options = await generateAuthenticationOptions({
    rpID: partyOf(deps).id,
    userVerification: 'required',
    timeout: challengeSeconds * 1000,
  })
  await keepChallenge(deps.db, options.challenge, null)
  return options
}

/** Signs in by a passkey, which is both factors: the thing, and the finger or word that unlocks it. */
export async function signInByPasskey(
  deps: AuthDeps,
  caller: Caller,
  response: AuthenticationResponseJSON,
): Promise<SignIn> {
  const passkey = await findPasskey(deps.db, response.id)
  if (!passkey) throw unknownPasskey()
  const { verifyAuthenticationResponse } = await library()
  const { verified, authenticationInfo } = await answered(deps.db, null, unknownPasskey, (expectedChallenge) =>
    verifyAuthenticationResponse({
      response,
      expectedChallenge,
      expectedOrigin: partyOf(deps).origins,
      expectedRPID: partyOf(deps).id,
      credential: { id: response.id, publicKey: Uint8Array.from(passkey.publicKey), counter: passkey.counter },
      requireUserVerification: true,
    }),
  )
  if (!verified || !(await usePasskey(deps.db, passkey.id, authenticationInfo.newCounter))) throw unknownPasskey()
  const ctx = await homeCtx(deps, caller, passkey.account.id)
  return deps.db.transaction(ctx, (tx) =>
    startSession(deps, tx, passkey.account, ctx.actor.id ?? '', caller, { kind: 'passkey', passkeyId: passkey.id }),
  )
}

/** Loaded when somebody uses a passkey: it is large, and asks Node for algorithms that are still an experiment, with a warning. */
const library = () => import('@simplewebauthn/server')

/** EdDSA, ES256 and RS256 (RFC 9053): what authenticators offer today. */
const algorithms = [-8, -7, -257]

/** For whom passkeys are: the host of `PUBLIC_URL`, and the pages from which browsers may call us. */
function partyOf({ base, origins }: AuthDeps): { id: string; origins: string[] } {
  // An address is no host for passkeys, but this one has a name.
  const { hostname, origin } = new URL(base().replace('//127.0.0.1', '//localhost'))
  return { id: hostname, origins: [origin, ...origins] }
}

/** Checks an answer, with its challenge used up. The library throws for whatever is wrong with one, which is never our fault. */
async function answered<T>(
  db: Database,
  accountId: string | null,
  wrong: () => Problem,
  check: (expectedChallenge: (sent: string) => Promise<boolean>) => Promise<T>,
): Promise<T> {
  let ours: unknown
  try {
    return await check(async (sent) => {
      try {
        return await useChallenge(db, sent, accountId)
      } catch (error) {
        ours = error
        return false
      }
    })
  } catch {
    throw ours ?? wrong()
  }
}

const wrongPasskey = (): Problem =>
  invalidMember('response', 'is no answer to options that we gave to you within five minutes', 'wrong_passkey')

const unknownPasskey = (): Problem => unauthenticated('The passkey is not known here, or its answer came too late')
