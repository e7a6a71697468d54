import sql, { raw } from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { type Binder, fill, planCache } from '../../kernel/db/plan.ts'
import { scopeShape, scopeSql, scopeUsers } from '../../kernel/entity/scope.ts'
import { convertedSql, rateSql } from '../exchange-rates/exchange-rate.entity.ts'
import { deal, weightedSql } from './deal.entity.ts'

/** Whose deals a row of the forecast sums, beside its month. */
export const groupings = ['month', 'owner', 'team'] as const
export type Grouping = (typeof groupings)[number]

/** What a forecast is of: the days from `from` to `to`, both included, and whose deals. */
export interface Wish {
  readonly from: string
  readonly to: string
  readonly groupBy: Grouping
  readonly pipelineId?: string | undefined
  readonly ownerId?: string | undefined
  readonly teamId?: string | undefined
}

/** The deals of a month, of one owner or team where it is grouped by them. */
export interface Sums {
  readonly period: string
  readonly subjectId: string | null
  readonly count: number
  readonly value: number
  readonly weightedValue: number
  readonly wonCount: number
  readonly wonValue: number
}

/** Deals that no rate of their currency could bring into the sums. */
export interface Unconverted {
  readonly currency: string
  readonly count: number
  readonly value: number
}

/** What is to be won in a month; null where no rate of the target's currency had begun. */
export interface Aim {
  readonly period: string
  readonly subjectId: string | null
  readonly amount: number | null
}

/** The tenant's currency, and what day it is there. */
export async function readHome(tx: Tx): Promise<{ currency: string; today: string }> {
  const [home] = await tx.query<{ currency: string; today: string }>(sql`
    select currency, to_char(now() at time zone timezone, 'YYYY-MM-DD') as today from tenants where id = ${tx.ctx.tenantId}`)
  if (!home) throw new Error('a caller has no tenant')
  return home
}

/** The parameters of a forecast that name nobody and nothing of this tenant. Who has left still has a forecast. */
export async function readUnknown(
  tx: Tx,
  { pipelineId, ownerId, teamId }: Pick<Wish, 'pipelineId' | 'ownerId' | 'teamId'>,
): Promise<string[]> {
  if ((pipelineId ?? ownerId ?? teamId) === undefined) return []
  const { tenantId } = tx.ctx
  const rows = await tx.query<{ name: string }>(sql`
    select w.name from (values
      ('pipelineId', ${pipelineId ?? null}::uuid, (select p.id from pipelines p where p.tenant_id = ${tenantId} and p.id = ${pipelineId ?? null})),
      ('ownerId', ${ownerId ?? null}, (select u.id from users u where u.tenant_id = ${tenantId} and u.id = ${ownerId ?? null})),
      ('teamId', ${teamId ?? null}, (select t.id from teams t where t.tenant_id = ${tenantId} and t.id = ${teamId ?? null}))
    ) w(name, asked, found) where w.asked is distinct from w.found`)
  return rows.map(({ name }) => name)
}

/**
 * The sums of the deals that the caller may read, in the tenant's currency at the rates of their days. Deals are summed by
 * day and currency first, so that a rate is looked up once for each of those and not for each deal.
 */
export async function readSums(tx: Tx, wish: Wish): Promise<{ sums: Sums[]; unconverted: Unconverted[] }> {
  const scope = tx.ctx.rights.scope(deal.type, 'read')
  const shape = [scopeShape(scope), wish.groupBy, ...filters.map(([name]) => wish[name] !== undefined)].join(' ')
  const made = plans(shape, (bind) => {
    const tenant = bind('tenant', 'uuid')
    const chosen = [
      'r.deleted_at is null and r.archived_at is null',
      scopeSql(deal, scope, 'r', bind, 'holders'),
      ...filters.flatMap(([name, condition]) => (wish[name] === undefined ? [] : [condition(bind)])),
    ].join(' and ')
    const from = bind('from', 'date')
    const to = bind('to', 'date')
    return `
      with home as materialized (select t.currency, t.timezone from tenants t where t.id = ${tenant}),
      days as (
        select r.status, r.expected_close_date as day, coalesce(r.currency, h.currency) as currency, ${subjects[wish.groupBy](tenant)} as subject,
          count(*)::integer as count, sum(r.value) as value, sum(${weightedSql('r', 's.probability')}) as weighted
        from home h cross join deals r join stages s on s.tenant_id = r.tenant_id and s.id = r.stage_id
        where r.tenant_id = ${tenant} and r.status = 'open' and r.expected_close_date between ${from} and ${to} and ${chosen}
        group by 1, 2, 3, 4
        union all
        select r.status, (r.closed_at at time zone h.timezone)::date, coalesce(r.currency, h.currency), ${subjects[wish.groupBy](tenant)},
          count(*)::integer, sum(r.value), null
        from home h cross join deals r
        where r.tenant_id = ${tenant} and r.status = 'won' and ${chosen}
          and r.closed_at >= (select ${from}::timestamp at time zone timezone from home)
          and r.closed_at < (select (${to} + 1)::timestamp at time zone timezone from home)
        group by 1, 2, 3, 4
      ),
      rates as (
        select d.currency, d.day, ${rateSql(tenant, 'd.currency', 'h.currency', 'd.day')} as rate
        from (select distinct currency, day from days) d cross join home h
      ),
      sums as (
        select to_char(d.day, 'YYYY-MM') as period, d.subject as "subjectId",
          coalesce(sum(d.count) filter (where d.status = 'open'), 0) as count,
          ${convertedSql('d.value * r.rate', "d.status = 'open'")} as value,
          ${convertedSql('d.weighted * r.rate', "d.status = 'open'")} as "weightedValue",
          coalesce(sum(d.count) filter (where d.status = 'won'), 0) as "wonCount",
          ${convertedSql('d.value * r.rate', "d.status = 'won'")} as "wonValue"
        from days d join rates r using (currency, day) group by 1, 2
      ),
      left_out as (
        select d.currency, sum(d.count) as count, trim_scale(sum(d.value)) as value
        from days d join rates r using (currency, day) where r.rate is null and d.value is not null group by 1
      )
      select coalesce((select json_agg(s) from sums s), '[]') as sums,
        coalesce((select json_agg(l order by l.currency) from left_out l), '[]') as unconverted`
  })
  const values = { ...wish, tenant: tx.ctx.tenantId, holders: scopeUsers(scope) }
  const [row] = await tx.query<{ sums: Sums[]; unconverted: Unconverted[] }>(fill(made, values))
  if (!row) throw new Error('a forecast gave no answer')
  return row
}

const plans = planCache()

const subjects: Readonly<Record<Grouping, (tenant: string) => string>> = {
  month: () => 'null::uuid',
  owner: () => 'r.owner_id',
  team: (tenant) => `(select u.team_id from users u where u.tenant_id = ${tenant} and u.id = r.owner_id)`,
}

const filters: readonly (readonly ['pipelineId' | 'ownerId' | 'teamId', (bind: Binder) => string])[] = [
  ['pipelineId', (bind) => `r.pipeline_id = ${bind('pipelineId', 'uuid')}`],
  ['ownerId', (bind) => `r.owner_id = ${bind('ownerId', 'uuid')}`],
  [
    'teamId',
    (bind) =>
      `r.owner_id = any(array(select u.id from users u where u.tenant_id = ${bind('tenant', 'uuid')} and u.team_id = ${bind('teamId', 'uuid')}))`,
  ],
]

/** The targets that go with the rows of a forecast, in the tenant's currency at the rates of the first days of their months. */
export function readAims(tx: Tx, { from, to, groupBy, ...wish }: Wish): Promise<Aim[]> {
  const { ownerId, teamId } = { ownerId: wish.ownerId ?? null, teamId: wish.teamId ?? null }
  return tx.query<Aim>(sql`
    select g.period, case ${groupBy} when 'owner' then g.user_id when 'team' then g.team_id end as "subjectId",
      trim_scale(round(g.amount * ${raw(rateSql('g.tenant_id', 'coalesce(g.currency, t.currency)', 't.currency', "(g.period || '-01')::date"))}, 4))::double precision as amount
    from targets g join tenants t on t.id = g.tenant_id
    where g.tenant_id = ${tx.ctx.tenantId} and g.deleted_at is null and g.archived_at is null
      and g.period between ${from.slice(0, 7)} and ${to.slice(0, 7)}
      and case
        when ${groupBy} = 'owner' then g.user_id is not null and (${ownerId}::uuid is null or g.user_id = ${ownerId}) and (${teamId}::uuid is null
          or exists (select 1 from users u where u.tenant_id = g.tenant_id and u.id = g.user_id and u.team_id = ${teamId}))
        when ${groupBy} = 'team' then g.team_id is not null and (${teamId}::uuid is null or g.team_id = ${teamId})
        when ${ownerId}::uuid is not null then g.user_id = ${ownerId}
        when ${teamId}::uuid is not null then g.team_id = ${teamId}
        else g.user_id is null and g.team_id is null
      end`)
}

/** What owners or teams are called, also those who have left. */
export async function readNames(
  tx: Tx,
  groupBy: Grouping,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (ids.length === 0) return new Map()
  const rows = await tx.query<{ id: string; name: string }>(
    groupBy === 'owner'
      ? sql`select id, name from users where tenant_id = ${tx.ctx.tenantId} and id = any(${ids}::uuid[])`
      : sql`select id, name from teams where tenant_id = ${tx.ctx.tenantId} and id = any(${ids}::uuid[])`,
  )
  return new Map(rows.map(({ id, name }) => [id, name]))
}
