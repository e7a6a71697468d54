/** What an invitation is written of. */
export interface InvitationFacts {
  /** Who invites; null: whoever runs the installation. */
  readonly inviter: string | null
  readonly tenant: string
  readonly url: string
  /** RFC 3339. */
  readonly expiresAt: string
}

/** What somebody is mailed who is invited to a tenant. */
export const writeInvitation = ({ inviter, tenant, url, expiresAt }: InvitationFacts) => ({
  subject: `Your invitation to ${tenant}`,
  paragraphs: [
    `${inviter ?? 'whoever runs this installation'} invites you to work in ${tenant} with ClientForge. Accept it here:`,
    `The link is good once, until ${expiresAt.slice(0, 10)}. If you do not know what this is about, there is nothing to do: without it nothing happens.`,
  ],
  link: { label: 'Accept the invitation', url },
})
