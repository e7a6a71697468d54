import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../../kernel/log.ts'
import { type Email, messageIdOf, type Sender } from './email.port.ts'

/** Writes each mail as an `.eml` file, which any mail program opens. Readable by its owner only: links in it are keys. */
export async function fileEmail(folder: string, { from, replyTo }: Sender, log: Logger): Promise<Email> {
  const { createTransport } = await import('nodemailer')
  const transport = createTransport({
    streamTransport: true,
    buffer: true,
    newline: 'windows',
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  return {
    send: async ({ id, to, subject, text, html }) => {
      const messageId = messageIdOf(id, from)
      const { message } = await transport.sendMail({ from, replyTo, to, subject, text, html, messageId })
      const file = join(folder, `${id}.eml`)
      await mkdir(folder, { recursive: true, mode: 0o700 })
      // Under another name until it is whole: who watches the folder reads no half of a mail.
      await writeFile(`${file}~`, Buffer.isBuffer(message) ? message : '', { mode: 0o600 })
      await rename(`${file}~`, file)
      log.info({ file }, 'a mail was written to a file, as no SMTP_URL is set')
      return { providerId: messageId }
    },
    close: async () => transport.close(),
  }
}
