import { join } from 'node:path'
import type { Logger } from '../../kernel/log.ts'
import type { Email, Sender } from './email.port.ts'
import { fileEmail } from './files.ts'
import { smtpEmail } from './smtp.ts'

export type { Email, EmailMessage, Sender, SentEmail } from './email.port.ts'

/** The way out that was chosen for mails. */
export interface EmailOutlet {
  readonly name: 'smtp' | 'files'
  readonly email: Email
}

/** Sends by a mail server when there is one, else into files under `STORAGE_DIR/mail`. */
export async function openEmail(
  options: { readonly smtpUrl: string | undefined; readonly storageDir: string; readonly log: Logger } & Sender,
): Promise<EmailOutlet> {
  const { smtpUrl, storageDir, log } = options
  return smtpUrl === undefined
    ? { name: 'files', email: await fileEmail(join(storageDir, 'mail'), options, log) }
    : { name: 'smtp', email: await smtpEmail(smtpUrl, options) }
}
