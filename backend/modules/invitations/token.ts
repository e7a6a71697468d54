import { type Mark, readSignedToken, type Signed, signedToken } from '../../kernel/signed-token.ts'

const purpose = 'invitation'

/** The token of an invitation: the same each time it is written, another when the invitation is sent again. */
export const invitationToken = (mark: Mark, id: string, generation: number): string =>
  signedToken(mark, purpose, { id, generation })

/** What a token claims to be; undefined when it is not ours. */
export const readInvitationToken = (mark: Mark, token: string): Signed | undefined =>
  readSignedToken(mark, purpose, token)
