/** A mail to one person. */
export interface EmailMessage {
  /**
   * Ours, unique, of letters, digits, dots and hyphens; the `Message-ID` is made of it, so that a repetition after a
   * crash is recognised as the same mail.
   */
  readonly id: string
  readonly to: { readonly name: string; readonly address: string }
  readonly subject: string
  readonly text: string
  readonly html: string
}

/** What is known of a mail that was taken. */
export interface SentEmail {
  /** Under which name whoever took it knows it. */
  readonly providerId: string
}

/** Whom our mails come from, and who is answered. */
export interface Sender {
  /** A mailbox of RFC 5322: `ClientForge <crm@example.com>`. */
  readonly from: string
  readonly replyTo: string | undefined
}

/** Where mails go out. */
export interface Email {
  /**
   * Hands a mail over. Throws `PermanentError` when no repetition can help, as its receiver is refused; after any other
   * error it may be tried again.
   */
  send(message: EmailMessage): Promise<SentEmail>
  close(): Promise<void>
}

/** The `Message-ID` of a mail (RFC 5322 section 3.6.4): the same however often it is sent. */
export function messageIdOf(id: string, from: string): string {
  const [, domain = 'localhost'] = /@([^\s>]+)>?\s*$/.exec(from) ?? []
  return `<${id}@${domain}>`
}
