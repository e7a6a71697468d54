import { recordTypes } from '../entities/records.ts'
import type { TestApp } from './app.ts'
import { type Client, createClient } from './client.ts'

/** Without a token, a viewer of Alice's tenant, the owner of another, and a member of hers who may do all with records of his own. */
export type Who = 'nobody' | 'viewer' | 'stranger' | 'own'

/** Who calls beside Alice. */
export interface Callers {
  readonly people: Readonly<Record<Who, Client>>
  /** Keys of Alice's by what they are for. */
  readonly keys: Readonly<Record<KeyName, Client>>
  /** Another one of the kind, whom a call may change. */
  another(who: Who): Promise<Client>
}

export type KeyName = keyof typeof scopes

const scopes = {
  all: ['*:*'],
  elsewhere: ['target:delete', 'target:read'],
  'elsewhere than targets': ['tag:delete', 'tag:read'],
  'all but read': ['*:create', '*:update', '*:delete'],
  'all but create': ['*:read', '*:update', '*:delete'],
  'all but update': ['*:read', '*:create', '*:delete'],
  'all but delete': ['*:read', '*:create', '*:update'],
}

const onlyOwn = {
  name: 'Own records',
  permissions: recordTypes.flatMap((resource) =>
    ['read', 'create', 'update', 'delete'].map((action) => ({ resource, action, scope: 'own' })),
  ),
}

/** Signs everybody in. */
export async function createCallers({ alice, charlie, nobody, join, found, url }: TestApp): Promise<Callers> {
  const { id: roleId } = await alice.build('role', onlyOwn)
  const another: Callers['another'] = async (who) => {
    if (who === 'nobody') return nobody
    if (who === 'stranger') return found('Initech', 'Peter')
    return who === 'viewer' ? join('Vera', 'viewer') : join('Olive', 'member', { roleId })
  }
  const keys: Partial<Record<KeyName, Client>> = {}
  for (const [name, its] of Object.entries(scopes)) {
    const { body } = await alice.post('/api-keys', { name, scopes: its })
    const signIn = { user: { id: '', email: '' }, tenant: null, accessToken: body.key, refreshToken: '' }
    keys[name as KeyName] = await createClient(url, signIn)
  }
  return {
    people: { nobody, stranger: charlie, viewer: await another('viewer'), own: await another('own') },
    keys: keys as Record<KeyName, Client>,
    another,
  }
}
