import type { Tx } from '../../kernel/db/database.ts'
import { fill, planCache } from '../../kernel/db/plan.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { scopeShape, scopeSql, scopeUsers } from '../../kernel/entity/scope.ts'
import { notFound } from '../../kernel/errors.ts'
import type { Scope } from '../../kernel/rights.ts'
import { contact } from '../contacts/contact.entity.ts'
import { deal } from '../deals/deal.entity.ts'
import { convertedSql, rateSql } from '../exchange-rates/exchange-rate.entity.ts'
import { company } from './company.entity.ts'

/** How far a hierarchy is looked at: levels up and down, and companies in all. */
export const reach = { levels: 20, companies: 1_000 } as const

/** A company in its place. */
export interface Place {
  readonly id: string
  readonly name: string
  readonly parentId: string | null
  readonly depth: number
}

/** What a company and all below it have together, in the tenant's currency. */
export interface TreeSums {
  readonly companies: number
  readonly contacts: number
  readonly openDeals: number
  readonly openValue: number
  readonly wonDeals: number
  readonly wonValue: number
  readonly currency: string
  readonly unconverted: readonly { currency: string; count: number; value: number }[]
}

/**
 * The companies above one, the one itself and those below it, by level; and what it and those below have together. Each
 * as far as the caller may read; what hangs below a company that he may not read is not looked at.
 */
export async function readTree(
  tx: Tx,
  id: string,
): Promise<{ above: Place[]; below: Place[]; truncated: boolean; sums: TreeSums }> {
  const scopes = [company, contact, deal].map((entity) => tx.ctx.rights.scope(entity.type, 'read'))
  const [ofCompanies = 'none', ofContacts = 'none', ofDeals = 'none'] = scopes
  const made = plans(scopes.map(scopeShape).join(' '), (bind) => {
    const tenant = bind('tenant', 'uuid')
    const readable = (entity: Entity, scope: Scope) =>
      `r.tenant_id = ${tenant} and r.deleted_at is null and ${scopeSql(entity, scope, 'r', bind, `${entity.type}Holders`)}`
    const companies = readable(company, ofCompanies)
    const place = (depth: string) => `r.id, r.name, r.parent_id as "parentId", ${depth} as depth`
    return `
      with recursive
      above as (
        select ${place('0')} from companies r where ${companies} and r.id = ${bind('id', 'uuid')}
        union all
        select ${place('a.depth - 1')} from above a join companies r on r.id = a."parentId" where ${companies} and a.depth > -${reach.levels}
      ),
      below as (
        select a.* from above a where a.depth = 0
        union all
        select ${place('b.depth + 1')} from below b join companies r on r.parent_id = b.id
        where ${companies} and r.archived_at is null and b.depth < ${reach.levels}
      ),
      -- A recursion gives its rows as they are asked for: what is beyond the limit is never read.
      found as materialized (select * from below limit ${reach.companies + 1}),
      tree as materialized (select * from found limit ${reach.companies}),
      home as materialized (select t.currency, (now() at time zone t.timezone)::date as today, t.timezone from tenants t where t.id = ${tenant}),
      days as (
        select r.status, coalesce(r.currency, h.currency) as currency,
          case r.status when 'won' then (r.closed_at at time zone h.timezone)::date else h.today end as day,
          count(*)::integer as count, sum(r.value) as value
        from home h cross join tree t join deals r on r.company_id = t.id
        where ${readable(deal, ofDeals)} and r.archived_at is null and r.status in ('open', 'won') group by 1, 2, 3
      ),
      sums as (
        select d.*, ${rateSql(tenant, 'd.currency', 'h.currency', 'd.day')} as rate from days d cross join home h
      )
      select coalesce((select json_agg(a order by a.depth) from above a where a.depth < 0), '[]') as above,
        coalesce((select json_agg(t order by t.depth, t.name, t.id) from tree t), '[]') as below,
        (select count(*) > ${reach.companies} from found) or exists (
          select 1 from found f join companies r on r.parent_id = f.id where f.depth = ${reach.levels} and ${companies} and r.archived_at is null) as truncated,
        json_build_object('companies', (select count(*) from tree),
          'contacts', (select count(*) from tree t join contacts r on r.company_id = t.id where ${readable(contact, ofContacts)} and r.archived_at is null),
          'openDeals', coalesce(sum(s.count) filter (where s.status = 'open'), 0),
          'openValue', ${convertedSql('s.value * s.rate', "s.status = 'open'")},
          'wonDeals', coalesce(sum(s.count) filter (where s.status = 'won'), 0),
          'wonValue', ${convertedSql('s.value * s.rate', "s.status = 'won'")},
          'currency', (select currency from home),
          'unconverted', (select coalesce(json_agg(l order by l.currency), '[]') from (
            select u.currency, sum(u.count) as count, trim_scale(sum(u.value)) as value from sums u where u.rate is null and u.value is not null group by 1) l)) as sums
      from sums s`
  })
  const [row] = await tx.query<{ above: Place[]; below: Place[]; truncated: boolean; sums: TreeSums }>(
    fill(made, {
      tenant: tx.ctx.tenantId,
      id,
      companyHolders: scopeUsers(ofCompanies),
      contactHolders: scopeUsers(ofContacts),
      dealHolders: scopeUsers(ofDeals),
    }),
  )
  if (!row || row.below.length === 0) throw notFound()
  return row
}

const plans = planCache()
