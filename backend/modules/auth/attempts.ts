import { createHash } from 'node:crypto'
import sql from 'sql-template-tag'
import { sleep } from '../../kernel/clock.ts'
import type { Database, Tx } from '../../kernel/db/database.ts'
import { Problem, unauthenticated } from '../../kernel/errors.ts'
import { networkOf } from '../../kernel/http/network.ts'
import type { Caller } from '../../kernel/http/route.ts'

/** Minutes for which a wrong try counts. */
export const attemptMinutes = 15
/** So many wrong tries of one thing from one address are answered at once. */
const free = 5
/** So many wrong tries of anything from one address are answered at all. */
const most = 50
const longestWait = 60
/** So many may wait in one process: each holds a request open, and nothing else. */
const mostWaiting = 500

/** What somebody tries to prove. */
export interface Claim {
  /** What is counted, whether or not there is such a thing: an email, the codes of an account. */
  readonly subject: string
  /** The email of the account to which an address may be familiar; from there the right proof passes without waiting. */
  readonly familiarTo?: string
  /** Counted over all addresses alike. */
  readonly anywhere?: true
  /** What a wrong proof is answered. */
  wrong(): Problem
}

/** A proof that was right. */
export interface Proved<T> {
  readonly proof: T
  /** Takes this try back, and leaves the wrong ones before it. */
  withdraw(): Promise<void>
  /** Forgets all tries of it from there: who tried is who he says. */
  forget(tx: Tx): Promise<void>
}

/** Counts tries and lets them wait, over all processes. */
export interface Attempts {
  /** Lets somebody try. `prove` gives undefined for what is wrong, and is called at most once. */
  attempt<T>(caller: Pick<Caller, 'ip'>, claim: Claim, prove: () => Promise<T | undefined>): Promise<Proved<T>>
}

/**
 * Tries are counted in Postgres before their end is known, so that a thousand at once gain nothing, and for unknown
 * emails alike. A connection is held for the counting alone, never while somebody waits.
 */
export function createAttempts(db: Database): Attempts {
  let waiting = 0
  const pause = async (seconds: number): Promise<void> => {
    if (seconds === 0) return
    if (waiting >= mostWaiting) throw tooMany(seconds)
    waiting++
    try {
      await sleep(seconds * 1000)
    } finally {
      waiting--
    }
  }
  return {
    attempt: async (caller, { subject, familiarTo, anywhere, wrong }, prove) => {
      const tried = createHash('sha256').update(subject).digest()
      const address = anywhere ? subject : networkOf(caller.ip)
      const [row] = await db.anonymous(sql`
        select id, of_subject as "ofSubject", of_address as "ofAddress", forgotten_in as "forgottenIn", familiar
        from begin_attempt(${tried}, ${address}, ${attemptMinutes * 60}, ${most}, ${familiarTo ?? null})`)
      const id: string | null = row?.id ?? null
      if (id === null) throw tooMany(row?.forgottenIn)
      const withdraw = async () => void (await db.anonymous(sql`select withdraw_attempt(${id})`))
      const seconds = waitAfter(row?.ofSubject)
      try {
        if (!row?.familiar) await pause(seconds)
        const proof = await prove()
        if (proof !== undefined) {
          return {
            proof,
            withdraw,
            forget: async (tx) => void (await tx.query(sql`select forget_attempts(${tried}, ${address})`)),
          }
        }
      } catch (error) {
        // It was neither right nor wrong: we could not say.
        await withdraw()
        throw error
      }
      if (row?.familiar && row.ofAddress >= most) throw tooMany(row.forgottenIn)
      if (row?.familiar) await pause(seconds)
      throw wrong()
    },
  }
}

/** What a sign-in by password claims; tries to change a password claim the same. */
export const passwordClaim = (email: string, wrong = () => unauthenticated('Email or password is wrong')): Claim => ({
  subject: `password ${email.trim().toLowerCase()}`,
  familiarTo: email,
  wrong,
})

/** Seconds that a try waits after so many wrong ones: none, then 1, 2, 4, up to a minute. */
export const waitAfter = (wrong: number): number => (wrong < free ? 0 : Math.min(2 ** (wrong - free), longestWait))

const tooMany = (seconds: number): Problem =>
  new Problem(429, 'RATE_LIMITED', `Too many wrong tries; try again in ${seconds} seconds`, {
    headers: { 'Retry-After': String(seconds) },
  })
