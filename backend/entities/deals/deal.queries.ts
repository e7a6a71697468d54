import sql, { raw } from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { type Binder, fill, planCache } from '../../kernel/db/plan.ts'
import { timeSql } from '../../kernel/db/print-time.ts'
import { documentSql } from '../../kernel/entity/document.ts'
import { scopeShape, scopeSql, scopeUsers } from '../../kernel/entity/scope.ts'
import { notFound } from '../../kernel/errors.ts'
import type { Scope } from '../../kernel/rights.ts'
import { deal, weightedSql } from './deal.entity.ts'

const cardsPerStage = 20

/** A stay of a deal in a stage. */
export interface Stay {
  readonly stageId: string
  readonly stageName: string
  readonly pipelineId: string
  readonly enteredAt: string
  readonly leftAt: string | null
  readonly enteredById: string | null
  readonly seconds: number
}

/** The stages that a deal has been in, the first one first; of a deal that moved very often its last 1,000. */
export async function readStays(tx: Tx, dealId: string): Promise<Stay[]> {
  const rows = await tx.query<Stay & { version: number }>(sql`
    select h.version, h.stage_id as "stageId", coalesce(s.name, h.stage_name) as "stageName", h.pipeline_id as "pipelineId",
      ${raw(timeSql('h.entered_at'))} as "enteredAt", ${raw(timeSql('h.left_at'))} as "leftAt", h.entered_by_id as "enteredById",
      extract(epoch from coalesce(h.left_at, greatest(now(), h.entered_at)) - h.entered_at)::double precision as seconds
    from deal_stage_history h left join stages s on s.tenant_id = h.tenant_id and s.id = h.stage_id
    where h.tenant_id = ${tx.ctx.tenantId} and h.deal_id = ${dealId} order by h.version desc limit 1000`)
  return rows.toReversed().map(({ version, ...stay }) => stay)
}

/**
 * The board of a pipeline (the default one when absent), of the deals that the caller may read: for each stage the count,
 * the sums in the tenant's currency, how many deals are in other ones, and the first 20 cards.
 */
export async function readBoard(tx: Tx, pipelineId: string | undefined): Promise<unknown[]> {
  const [pipeline] = await tx.query<{ id: string }>(sql`
    select id from pipelines where tenant_id = ${tx.ctx.tenantId} and deleted_at is null
      and case when ${pipelineId ?? null}::uuid is null then is_default else id = ${pipelineId ?? null} end`)
  if (!pipeline) throw notFound('There is no such pipeline')
  const scope = tx.ctx.rights.scope(deal.type, 'read')
  const made = boards(scopeShape(scope), (bind) => boardSql(scope, bind))
  const values = { tenant: tx.ctx.tenantId, pipeline: pipeline.id, holders: scopeUsers(scope) }
  return (await tx.query<{ lane: unknown }>(fill(made, values))).map(({ lane }) => lane)
}

const boards = planCache()

function boardSql(scope: Scope, bind: Binder): string {
  const tenant = bind('tenant', 'uuid')
  const pipeline = bind('pipeline', 'uuid')
  const shown = `r.deleted_at is null and r.archived_at is null and ${scopeSql(deal, scope, 'r', bind, 'holders')}`
  return `
    with sums as (
      select r.stage_id, coalesce(r.currency, t.currency) = t.currency as own,
             count(*)::integer as count, coalesce(sum(r.value), 0) as value,
             coalesce(sum(${weightedSql('r', 's.probability')}), 0) as weighted
      from deals r join stages s on s.tenant_id = r.tenant_id and s.id = r.stage_id join tenants t on t.id = r.tenant_id
      where r.tenant_id = ${tenant} and r.pipeline_id = ${pipeline} and ${shown}
      group by 1, 2
    )
    select json_build_object(
      'stage', json_build_object('id', s.id, 'name', s.name, 'kind', s.kind, 'probability', s.probability, 'order', s.position, 'rottingDays', s.rotting_days),
      'count', (select coalesce(sum(x.count), 0) from sums x where x.stage_id = s.id),
      'value', (select trim_scale(coalesce(sum(x.value), 0)) from sums x where x.stage_id = s.id and x.own),
      'weightedValue', (select trim_scale(coalesce(sum(x.weighted), 0)) from sums x where x.stage_id = s.id and x.own),
      'otherCurrencies', (select coalesce(sum(x.count), 0) from sums x where x.stage_id = s.id and not x.own),
      'cards', (select coalesce(json_agg(c.doc order by c.position, c.id), '[]') from (
          select r.position, r.id, ${documentSql(deal, 'json')} as doc from deals r
          where r.tenant_id = s.tenant_id and r.stage_id = s.id and ${shown}
          order by r.position, r.id limit ${cardsPerStage}) c)) as lane
    from stages s where s.tenant_id = ${tenant} and s.pipeline_id = ${pipeline} order by s.position, s.id`
}
