import type { Tx } from '../../kernel/db/database.ts'
import { fill, plan } from '../../kernel/db/plan.ts'
import { scopeSql, scopeUsers } from '../../kernel/entity/scope.ts'
import { company } from '../companies/company.entity.ts'
import { contact } from '../contacts/contact.entity.ts'

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
}

const mostOfEach = 5

/**
 * The contacts with the lead's address or number, and the companies with its domain or name, as far as the caller may
 * read them: the oldest first, at most ten.
 */
export async function findCandidates(tx: Tx, { email, phone, companyName }: Known): Promise<Candidate[]> {
  const { rights, tenantId } = tx.ctx
  const contacts = rights.scope('contact', 'read')
  const companies = rights.scope('company', 'read')
  const made = plan((bind) => {
    const tenant = bind('tenant', 'uuid')
    const address = bind('email', 'text')
    return `
      (select 'contact' as type, r.id, r.name, r.email from contacts r
       where r.tenant_id = ${tenant} and r.deleted_at is null and ${scopeSql(contact, contacts, 'r', bind, 'contactHolders')}
         and (r.email_normal = ${address} or r.phone_normal = normal_phone(${bind('phone', 'text')}))
       order by r.created_at, r.id limit ${mostOfEach})
      union all
      (select 'company', r.id, r.name, null from companies r
       where r.tenant_id = ${tenant} and r.deleted_at is null and ${scopeSql(company, companies, 'r', bind, 'companyHolders')}
         and (r.name_normal = lower(${bind('companyName', 'text')}) or r.domain_normal = nullif(split_part(${address}, '@', 2), ''))
       order by r.created_at, r.id limit ${mostOfEach})`
  })
  return tx.query<Candidate & Record<string, unknown>>(
    fill(made, {
      tenant: tenantId,
      email: typeof email === 'string' ? email.toLowerCase() : null,
      phone,
      companyName,
      contactHolders: scopeUsers(contacts),
      companyHolders: scopeUsers(companies),
    }),
  )
}
