import { randomUUID } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import PostalMime from 'postal-mime'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PermanentError } from '../../kernel/events/subscription.ts'
import { createLogger } from '../../kernel/log.ts'
import { type Mailbox, startMailbox } from '../../test/mailbox.ts'
import { emailContract } from './email.contract.ts'
import { type Email, openEmail } from './index.ts'

const opened: Email[] = []
let mailbox: Mailbox
let folder: string
beforeAll(async () => {
  mailbox = await startMailbox()
  folder = await mkdtemp(join(tmpdir(), 'clientforge-mail-'))
})
afterAll(async () => {
  for (const email of opened) await email.close()
  await mailbox.stop()
  await rm(folder, { recursive: true, force: true })
})

async function open(smtpUrl?: string): Promise<Email> {
  const sender = { from: 'ClientForge <crm@example.com>', replyTo: 'help@example.com' }
  const { email } = await openEmail({ ...sender, smtpUrl, storageDir: folder, log: createLogger('silent') })
  opened.push(email)
  return email
}

const mailTo = (address: string) => ({
  id: randomUUID(),
  to: { name: 'Ada', address },
  subject: 'Hello',
  text: 'Hello',
  html: '<p>Hello</p>',
})

emailContract('a mail server', async () => ({
  email: await open(mailbox.url),
  received: async (address) => mailbox.received(address),
}))

emailContract('a folder', async () => ({
  email: await open(),
  received: async (address) => {
    const files = (await readdir(join(folder, 'mail'))).toSorted()
    const letters = await Promise.all(
      files.map(async (file) => PostalMime.parse(await readFile(join(folder, 'mail', file)))),
    )
    return letters.filter(({ to, cc, bcc }) => [to, cc, bcc].flat().some((each) => each?.address === address))
  },
}))

test('a folder of mails is for its owner alone', async () => {
  await (await open()).send(mailTo('ada@example.com'))
  const [file = ''] = await readdir(join(folder, 'mail'))
  expect(((await stat(join(folder, 'mail', file))).mode & 0o777).toString(8)).toBe('600')
})

describe('a mail server', () => {
  test('that refuses the receiver ends it for good, and that has no time or place for him does not', async () => {
    const email = await open(mailbox.url)
    await expect(email.send(mailTo('bounce@example.com'))).rejects.toBeInstanceOf(PermanentError)
    await expect(email.send(mailTo('busy@example.com'))).rejects.not.toBeInstanceOf(PermanentError)
    expect(await email.send(mailTo('ada@example.com'))).toMatchObject({ providerId: expect.any(String) })
  })

  test('that does not know us, or is not there, is tried again', async () => {
    const stranger = await open(mailbox.url.replace('secret', 'wrong'))
    await expect(stranger.send(mailTo('ada@example.com'))).rejects.not.toBeInstanceOf(PermanentError)
    const gone = await open(`smtp://127.0.0.1:${await freePort()}`)
    await expect(gone.send(mailTo('ada@example.com'))).rejects.not.toBeInstanceOf(PermanentError)
  })
})

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
