import { createTokens } from '../../modules/auth/tokens.ts'
import { invitationToken } from '../../modules/invitations/token.ts'
import { type Cast, password } from '../cast.ts'
import { at, type Example, type Examples, nothing, unique } from './call.ts'

/** The people of a tenant, and those who are asked to come. */
export const onPeople: Examples = {
  listUser: nothing,
  createUser: async () => ({ body: { name: 'Grace', email: `${unique('grace')}@example.com`, password } }),
  getUser: colleague(),
  updateUser: colleague({ name: 'Robert' }),
  deleteUser: colleague(),
  listUserActivities: colleague(),
  deleteUserSessions: colleague(),
  listOnline: nothing,
  deactivateUser: async ({ alice, join }) => ({
    ...at((await join('Rob', 'member')).userId),
    body: { handOverTo: alice.userId },
  }),
  getHandOver: async ({ alice, join }) => {
    const { userId } = await join('Rob', 'member')
    return at((await alice.post(`/users/${userId}/deactivate`, { handOverTo: alice.userId })).body.id)
  },
  createInvitation: async () => ({ body: [{ email: `${unique('grace')}@example.com`, role: 'member' }] }),
  listInvitations: nothing,
  resendInvitation: invited(),
  deleteInvitation: invited(),
  acceptInvitation: async (house) => {
    const { id } = await invitationOf(house)
    const token = invitationToken(createTokens(house.config.jwtSecret).mark, id, 1)
    return { body: { token, name: 'Grace', password } }
  },
}

function colleague(body?: unknown): Example {
  return async ({ join }) => ({ ...at((await join('Rob', 'member')).userId), ...(body ? { body } : {}) })
}

async function invitationOf({ alice }: Cast): Promise<{ id: string }> {
  return (await alice.post('/invitations', { email: `${unique('grace')}@example.com` })).body
}

function invited(): Example {
  return async (cast) => at((await invitationOf(cast)).id)
}
