import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import PostalMime, { type Email } from 'postal-mime'
import { SMTPServer } from 'smtp-server'
import { eventually } from './client.ts'

/** A real mail server on the loopback that keeps what it takes. */
export interface Mailbox {
  /** Its `SMTP_URL`, with name and password. */
  readonly url: string
  /** All mails to an address, oldest first. */
  received(address: string): readonly Email[]
  /** The newest mail to an address with a subject, once it has come. */
  newest(address: string, subject: RegExp): Promise<Email>
  stop(): Promise<void>
}

/** Starts it. It refuses every address that begins with `bounce` for good, and with `busy` for now. */
export async function startMailbox(): Promise<Mailbox> {
  const mails: { to: readonly string[]; mail: Email }[] = []
  const server = new SMTPServer({
    allowInsecureAuth: true,
    disabledCommands: ['STARTTLS'],
    logger: false,
    onAuth: ({ username, password }, _session, done) =>
      username === 'forge' && password === 'secret'
        ? done(null, { user: username })
        : done(Object.assign(new Error('Authentication failed'), { responseCode: 535 })),
    onRcptTo: ({ address }, _session, done) =>
      done(
        address.startsWith('bounce')
          ? Object.assign(new Error('No such mailbox'), { responseCode: 550 })
          : address.startsWith('busy')
            ? Object.assign(new Error('Try again later'), { responseCode: 451 })
            : null,
      ),
    onData: (stream, session, done) => {
      keep(
        stream,
        session.envelope.rcptTo.map(({ address }) => address.toLowerCase()),
      ).then(() => done(), done)
    },
  })
  const keep = async (stream: NodeJS.ReadableStream, to: readonly string[]): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(Buffer.from(chunk))
    mails.push({ to, mail: await PostalMime.parse(Buffer.concat(chunks)) })
  }
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  const address = server.server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const received = (to: string) => mails.filter((each) => each.to.includes(to.toLowerCase())).map(({ mail }) => mail)
  return {
    url: `smtp://forge:secret@127.0.0.1:${port}`,
    received,
    newest: (to, subject) =>
      eventually(
        async () => received(to).findLast((mail) => subject.test(mail.subject ?? '')),
        `a mail to ${to} about ${subject}`,
      ),
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

/** The newest mail to an address with a subject of an app that writes its mails into files, once it has come. */
export const filedMail = (storageDir: string, to: string, subject: RegExp): Promise<Email> =>
  eventually(async () => {
    const folder = join(storageDir, 'mail')
    const files = existsSync(folder) ? (await readdir(folder)).filter((file) => file.endsWith('.eml')) : []
    const mails = await Promise.all(
      files.toSorted().map(async (file) => PostalMime.parse(await readFile(join(folder, file)))),
    )
    return mails.findLast(
      (mail) =>
        subject.test(mail.subject ?? '') && mail.to?.some(({ address }) => address?.toLowerCase() === to.toLowerCase()),
    )
  }, `a file of a mail to ${to} about ${subject}`)

/** The token of the link in that mail. */
export async function mailedToken(storageDir: string, to: string, subject: RegExp): Promise<string> {
  const { text = '' } = await filedMail(storageDir, to, subject)
  return /token=([\w.-]+)/.exec(text)?.[1] ?? ''
}
