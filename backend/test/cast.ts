import { randomBytes } from 'node:crypto'
import { type Client, createClient } from './client.ts'

/** The permanent cast: Alice owns a tenant, Bob is a member of it, Vera its viewer, Mary its manager; Charlie owns another. */
export interface Cast {
  readonly alice: Client
  readonly bob: Client
  readonly charlie: Client
  /** Somebody without a token. */
  readonly nobody: Client
  /** Signs in who runs the installation, and belongs to no tenant. */
  operator(): Promise<Client>
  /** Adds a member with a role to Alice's tenant and signs him in. */
  join(name: string, role: string, more?: Record<string, unknown>): Promise<Client>
  /** Registers a tenant with its owner. */
  found(organization: string, name: string): Promise<Client>
}

export const password = 'correct horse battery'

/** Who runs the installations of tests. */
export const platformAdmin = { email: 'olga@example.com', password: 'a password of the platform' }

/** Registers the cast through the front door. */
export async function createCast(url: string): Promise<Cast> {
  const nobody = await createClient(url)
  const emailOf = (name: string) => `${name.toLowerCase()}.${randomBytes(4).toString('hex')}@example.com`
  const found = async (organization: string, name: string): Promise<Client> => {
    const answer = await nobody.post('/auth/register', { organization, name, email: emailOf(name), password })
    if (answer.status !== 201) throw new Error(`${name} could not register: ${JSON.stringify(answer.body)}`)
    return createClient(url, answer.body)
  }
  const [alice, charlie] = await Promise.all([found('Acme', 'Alice'), found('Globex', 'Charlie')])
  const join = async (name: string, role: string, more: Record<string, unknown> = {}): Promise<Client> => {
    const email = emailOf(name)
    const made = await alice.post('/users', { name, email, role, password, ...more })
    if (made.status !== 201) throw new Error(`${name} could not join: ${JSON.stringify(made.body)}`)
    const answer = await nobody.post('/auth/login', { email, password })
    return createClient(url, answer.body)
  }
  const operator = async (): Promise<Client> => {
    const answer = await nobody.post('/auth/login', platformAdmin)
    if (answer.status !== 200) throw new Error(`the operator could not sign in: ${JSON.stringify(answer.body)}`)
    return createClient(url, answer.body)
  }
  return { operator, alice, charlie, nobody, found, join, bob: await join('Bob', 'member') }
}
