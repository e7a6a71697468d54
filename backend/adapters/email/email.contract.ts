import { randomUUID } from 'node:crypto'
import type { Email as Letter } from 'postal-mime'
import { describe, expect, test } from 'vitest'
import type { Email, EmailMessage } from './email.port.ts'

/** What a way out for mails is tested with: one from `ClientForge <crm@example.com>`, answers to `help@example.com`. */
export interface EmailBench {
  readonly email: Email
  /** The mails that went out to an address, oldest first, as their receiver reads them. */
  received(address: string): Promise<readonly Letter[]>
}

/** What every way out for mails must do. */
export function emailContract(name: string, open: () => Promise<EmailBench>): void {
  describe(`${name} sends mails`, () => {
    const mail = (more: Partial<EmailMessage> = {}): EmailMessage => ({
      id: randomUUID(),
      to: { name: 'Ada', address: `ada.${randomUUID()}@example.com` },
      subject: 'Hello',
      text: 'Hello Ada\n',
      html: '<p>Hello Ada</p>',
      ...more,
    })

    test('as text and HTML, from the sender, to whom they are for', async () => {
      const { email, received } = await open()
      const sent = mail({ subject: 'Grüße — 你好', text: 'Grüße, 你好\n', html: '<p>Grüße, 你好</p>' })
      await email.send(sent)
      const [letter] = await received(sent.to.address)
      expect(letter).toMatchObject({
        from: { name: 'ClientForge', address: 'crm@example.com' },
        replyTo: [{ address: 'help@example.com' }],
        to: [sent.to],
        subject: sent.subject,
      })
      expect([letter?.text?.trim(), letter?.html?.trim()]).toEqual([sent.text.trim(), sent.html])
      expect(Date.parse(letter?.date ?? '')).toBeGreaterThan(Date.now() - 60_000)
    })

    test('under one Message-ID however often', async () => {
      const { email, received } = await open()
      const sent = mail()
      const [first, second] = [await email.send(sent), await email.send(sent)]
      const expected = `<${sent.id}@example.com>`
      expect([first.providerId, second.providerId]).toEqual([expected, expected])
      expect(new Set((await received(sent.to.address)).map(({ messageId }) => messageId))).toEqual(new Set([expected]))
    })

    test('and nothing that a name or subject smuggles in becomes a header', async () => {
      const { email, received } = await open()
      const thief = `thief.${randomUUID()}@example.com`
      const sent = mail({ subject: `Hello\r\nBcc: ${thief}` })
      await email.send({ ...sent, to: { ...sent.to, name: `Ada" <${thief}>\r\nBcc: ${thief}` } })
      const [letter] = await received(sent.to.address)
      expect(letter?.to?.map(({ address }) => address)).toEqual([sent.to.address])
      expect([letter?.bcc, letter?.cc]).toEqual([undefined, undefined])
      expect(await received(thief)).toEqual([])
    })

    test('many at once', async () => {
      const { email, received } = await open()
      const mails = Array.from({ length: 20 }, () => mail())
      await Promise.all(mails.map((each) => email.send(each)))
      for (const { id, to } of mails)
        expect((await received(to.address)).map(({ messageId }) => messageId)).toEqual([`<${id}@example.com>`])
    })
  })
}
