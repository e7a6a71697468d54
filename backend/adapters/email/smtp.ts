import { PermanentError } from '../../kernel/events/subscription.ts'
import { type Email, messageIdOf, type Sender } from './email.port.ts'

/** Sends by a mail server, over a few connections that are kept. */
export async function smtpEmail(url: string, { from, replyTo }: Sender): Promise<Email> {
  const { createTransport } = await import('nodemailer')
  const transport = createTransport({
    url,
    pool: true,
    maxConnections: 3,
    connectionTimeout: 10_000,
    greetingTimeout: 10_000,
    socketTimeout: 30_000,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  return {
    send: async ({ id, to, subject, text, html }) => {
      const messageId = messageIdOf(id, from)
      try {
        const sent = await transport.sendMail({ from, replyTo, to, subject, text, html, messageId })
        return { providerId: sent.messageId }
      } catch (error) {
        throw isRefusal(error) ? new PermanentError(error.message, { cause: error }) : error
      }
    },
    close: async () => transport.close(),
  }
}

/**
 * A 5xx answer to the receiver or to the mail itself (RFC 5321 section 4.2.1). One to our sign-in is no word about the
 * mail: it is tried again, as whoever runs the house mends it.
 */
function isRefusal(error: unknown): error is Error {
  if (!(error instanceof Error) || !('responseCode' in error) || !('code' in error)) return false
  return Number(error.responseCode) >= 500 && (error.code === 'EENVELOPE' || error.code === 'EMESSAGE')
}
