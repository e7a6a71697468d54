import sql from 'sql-template-tag'
import { z } from 'zod'
import type { Email } from '../../../adapters/email/email.port.ts'
import { systemCtx } from '../../../kernel/context.ts'
import type { Database } from '../../../kernel/db/database.ts'
import type { Job, Work } from '../../../kernel/jobs/job.ts'
import { findAccountOf } from '../account.queries.ts'
import { accountToken } from '../account-tokens.ts'
import type { Tokens } from '../tokens.ts'
import { render } from './letter.ts'
import { letters } from './letters.ts'

interface MailDeps {
  readonly db: Database
  readonly tokens: Tokens
  readonly email: Email
  /** How browsers reach this installation. */
  base(): string
}

const data = z.object({
  event: z.string(),
  userId: z.guid(),
  tokenId: z.guid().optional(),
  ip: z.string().nullable(),
  at: z.string(),
})

/** Writes and sends what people are mailed about their accounts. Of a token the job knows the id alone. */
export const accountMail = (deps: MailDeps): Job<z.output<typeof data>> => ({
  name: 'account.mail',
  queue: 'email',
  attempts: 8,
  timeout: 60_000,
  data,
  on: Object.keys(letters),
  ask: ({ name, recordId, data: { tokenId }, ip, occurredAt }) =>
    recordId === null
      ? []
      : [
          {
            priority: 'high',
            data: {
              event: name,
              userId: recordId,
              ...(typeof tokenId === 'string' ? { tokenId } : {}),
              ip,
              at: occurredAt,
            },
          },
        ],
  run: (work) => send(deps, work),
})

async function send({ db, tokens, email, base }: MailDeps, work: Work<z.output<typeof data>>): Promise<void> {
  const { event, userId, tokenId, ip, at } = work.data
  const letter = letters[event]
  const tx = db.tenant(systemCtx(work.tenantId))
  const account = await findAccountOf(tx, userId)
  if (!letter || !account) return
  let { email: address } = account
  let url = ''
  if (letter.token) {
    const [live] = tokenId === undefined ? [] : await tx.query(sql`select email from find_account_token(${tokenId})`)
    // It was used, has expired or a newer one was asked for: nobody needs the mail any more.
    if (!live || tokenId === undefined) return
    address = live.email
    url = `${base()}${letter.path}?token=${accountToken(tokens, letter.token, tokenId)}`
  }
  const { name } = account
  await email.send({ id: work.id, to: { name, address }, ...render(name, letter.write({ url, ip, at })) })
}
