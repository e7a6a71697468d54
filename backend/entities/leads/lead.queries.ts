import { z } from 'zod'
import type { Tx } from '../../kernel/db/database.ts'
import { fill, plan } from '../../kernel/db/plan.ts'
import { nameSql } from '../../kernel/entity/called.ts'
import type { Values } from '../../kernel/entity/repository.ts'
import { scopeSql, scopeUsers } from '../../kernel/entity/scope.ts'
import { excerpt, sight } from '../../kernel/sight.ts'
import { company } from '../companies/company.entity.ts'
import { contact } from '../contacts/contact.entity.ts'

/** A record that a lead may already be, as an answer shows it. */
export const candidateSchema = z
  .object({
    type: z.enum(['contact', 'company']),
    id: z.uuid(),
    name: z.string(),
    email: z.string().nullable().optional(),
  })
  .register(sight, excerpt())

/** A record that a lead may already be. */
export interface Candidate {
  readonly type: 'contact' | 'company'
  readonly id: string
  readonly name: string
  readonly email: string | null
}

/** By what a lead is recognised. */
export interface Known {
  readonly email?: unknown
  readonly phone?: unknown
  readonly companyName?: unknown
  readonly firstName?: unknown
  readonly lastName?: unknown
}

/** Finds records of a noun that one with these values may be, and by which of its members; given by the search for duplicates. */
export type Alike = (tx: Tx, type: string, values: Values) => Promise<readonly Match[]>

interface Match {
  readonly record: Values
  readonly reasons: readonly Reason[]
}

interface Reason {
  readonly field: string
  readonly kind: string
}

const mostOfEach = 5

/**
 * Whom the team may know already, as far as the caller may read them: those with the lead's address, number, domain or name
 * in their main members, which are looked up as they are now, and those whom the search for duplicates finds by any of theirs.
 */
export async function findCandidates(tx: Tx, alike: Alike, known: Known): Promise<Candidate[]> {
  const { email, phone, companyName, firstName, lastName } = known
  const domain = typeof email === 'string' ? email.slice(email.lastIndexOf('@') + 1) : null
  const exact = await findExact(tx, known)
  const alikes = {
    contact: await alike(tx, 'contact', { email, phone, firstName, lastName }),
    company: await alike(tx, 'company', { name: companyName, domain }),
  }
  return (['contact', 'company'] as const).flatMap((type) => {
    // A name alone is shared by too many people.
    const says = ({ field, kind }: Reason) => kind === 'equal' && (type === 'company' || field !== 'name')
    const matches = alikes[type].filter(({ reasons }) => reasons.some(says))
    const all = [...exact.filter((one) => one.type === type), ...matches.map(({ record }) => candidateOf(type, record))]
    return [...new Map(all.map((one) => [one.id, one])).values()].slice(0, 2 * mostOfEach)
  })
}

const candidateOf = (type: Candidate['type'], { id, name, email }: Values): Candidate => ({
  type,
  id: String(id),
  name: String(name),
  email: typeof email === 'string' ? email : null,
})

/** The oldest first, at most five of each. By a member that the caller does not see nobody is found: that would tell it. */
async function findExact(tx: Tx, { email, phone, companyName }: Known): Promise<Candidate[]> {
  const { rights, tenantId } = tx.ctx
  const unless = (type: string, member: string, value: unknown) =>
    typeof value === 'string' && !rights.fields?.(type)?.hidden.has(member) ? value : null
  const address = typeof email === 'string' ? email.toLowerCase() : null
  const contacts = rights.scope('contact', 'read')
  const companies = rights.scope('company', 'read')
  const made = plan((bind) => {
    const tenant = bind('tenant', 'uuid')
    return `
      (select 'contact' as type, r.id, ${nameSql(contact, rights.fields?.('contact'))} as name, r.email from contacts r
       where r.tenant_id = ${tenant} and r.deleted_at is null and ${scopeSql(contact, contacts, 'r', bind, 'contactHolders')}
         and (r.email_normal = ${bind('email', 'text')} or r.phone_normal = normal_phone(${bind('phone', 'text')}))
       order by r.created_at, r.id limit ${mostOfEach})
      union all
      (select 'company', r.id, r.name, null from companies r
       where r.tenant_id = ${tenant} and r.deleted_at is null and ${scopeSql(company, companies, 'r', bind, 'companyHolders')}
         and (r.name_normal = lower(${bind('companyName', 'text')}) or r.domain_normal = nullif(split_part(${bind('domainOf', 'text')}, '@', 2), ''))
       order by r.created_at, r.id limit ${mostOfEach})`
  })
  return tx.query<Candidate & Record<string, unknown>>(
    fill(made, {
      tenant: tenantId,
      email: unless('contact', 'email', address),
      phone: unless('contact', 'phone', phone),
      domainOf: unless('company', 'domain', address),
      companyName,
      contactHolders: scopeUsers(contacts),
      companyHolders: scopeUsers(companies),
    }),
  )
}
