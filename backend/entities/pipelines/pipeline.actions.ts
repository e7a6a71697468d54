import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { fill, plan } from '../../kernel/db/plan.ts'
import { documentSql } from '../../kernel/entity/document.ts'
import type { Changed, Expected, Stored } from '../../kernel/entity/repository.ts'
import { invalidMember, notFound, rule, stale } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import type { Change } from '../../kernel/events/event.ts'
import { newId } from '../../kernel/ids.ts'
import { pipeline, type StageInput } from './pipeline.entity.ts'

export interface PipelineInput {
  readonly name?: string | undefined
  readonly isDefault?: boolean | undefined
  readonly externalId?: string | null | undefined
  readonly stages?: readonly StageInput[] | undefined
}

/** What a registration makes. */
export const defaultPipeline: PipelineInput & { name: string } = {
  name: 'Sales',
  isDefault: true,
  stages: [
    { name: 'Qualified', kind: 'open', probability: 10 },
    { name: 'Proposal', kind: 'open', probability: 40 },
    { name: 'Negotiation', kind: 'open', probability: 70 },
    { name: 'Won', kind: 'won', probability: 100 },
    { name: 'Lost', kind: 'lost', probability: 0 },
  ],
}

/** Makes a pipeline with its stages. */
export async function createPipeline(tx: Tx, input: PipelineInput & { name: string }): Promise<Stored> {
  const id = newId()
  if (input.isDefault) await dropDefault(tx)
  await tx.query(sql`
    insert into pipelines (tenant_id, id, name, is_default, external_id, created_at, updated_at, created_by_id)
    values (${tx.ctx.tenantId}, ${id}, ${input.name}, ${input.isDefault ?? false}, ${input.externalId ?? null}, now(), now(), ${tx.ctx.actor.id})`)
  await putStages(tx, id, input.stages ?? [])
  const made = await read(tx, id)
  if (!made) throw notFound()
  await appendEvents(tx, [
    {
      name: 'pipeline.created',
      type: 'pipeline',
      recordId: id,
      version: made.version,
      changes: changesOf({}, made.record),
      record: made.record,
    },
  ])
  return { id, version: made.version, json: JSON.stringify(made.record) }
}

/** Changes a pipeline; `stages` is the whole list. A stage that holds deals can be renamed and moved, not removed or turned. */
export async function updatePipeline(tx: Tx, id: string, input: PipelineInput, expected: Expected): Promise<Changed> {
  const before = await read(tx, id)
  if (!before) throw notFound()
  if (expected !== null && !expected.includes(before.version)) throw stale()
  if (input.isDefault === false && before.record.isDefault)
    throw rule('DEFAULT_PIPELINE', 'Make another pipeline the default instead')
  if (input.isDefault) await dropDefault(tx, id)
  await tx.query(sql`
    update pipelines set name = coalesce(${input.name ?? null}, name), is_default = coalesce(${input.isDefault ?? null}, is_default),
      external_id = case when ${input.externalId !== undefined} then ${input.externalId ?? null} else external_id end
    where tenant_id = ${tx.ctx.tenantId} and id = ${id}`)
  if (input.stages) await putStages(tx, id, input.stages)
  const same = await read(tx, id)
  const changes = changesOf(before.record, same?.record ?? {})
  if (changes.length === 0) return { id, version: before.version, json: JSON.stringify(before.record), changed: false }
  await tx.query(sql`
    update pipelines set version = version + 1, updated_at = now() where tenant_id = ${tx.ctx.tenantId} and id = ${id}`)
  const after = await read(tx, id)
  if (!after) throw notFound()
  await appendEvents(tx, [
    { name: 'pipeline.updated', type: 'pipeline', recordId: id, version: after.version, changes, record: after.record },
  ])
  return { id, version: after.version, json: JSON.stringify(after.record), changed: true }
}

/** Refuses to delete the default pipeline and one that holds deals. The row stays locked until the transaction ends. */
export async function refuseHeldPipeline(tx: Tx, id: string): Promise<void> {
  const found = await read(tx, id)
  if (!found) throw notFound()
  if (found.record.isDefault) throw rule('DEFAULT_PIPELINE', 'Make another pipeline the default first')
  const [held] = await tx.query(sql`
    select 1 from deals where tenant_id = ${tx.ctx.tenantId} and pipeline_id = ${id} and deleted_at is null limit 1`)
  if (held) throw rule('PIPELINE_IN_USE', 'Move its deals to another pipeline first')
}

async function read(tx: Tx, id: string): Promise<{ version: number; record: Record<string, unknown> } | undefined> {
  const made = plan(
    (bind) => `
    select ${documentSql(pipeline, 'json')} as record, r.version from pipelines r
    where r.tenant_id = ${bind('tenant', 'uuid')} and r.id = ${bind('id', 'uuid')} and r.deleted_at is null for update of r`,
  )
  const [row] = await tx.query<{ version: number; record: Record<string, unknown> }>(
    fill(made, { tenant: tx.ctx.tenantId, id }),
  )
  return row
}

/** Takes the default from the pipeline that has it, unless it is this one; that is a change of its own. */
async function dropDefault(tx: Tx, except: string | null = null): Promise<void> {
  const [dropped] = await tx.query<{ id: string }>(sql`
    update pipelines set is_default = false, version = version + 1, updated_at = now()
    where tenant_id = ${tx.ctx.tenantId} and is_default and deleted_at is null and id is distinct from ${except}::uuid
    returning id`)
  const after = dropped && (await read(tx, dropped.id))
  if (!after) return
  const changes = [{ field: 'isDefault', oldValue: true, newValue: false }]
  await appendEvents(tx, [
    {
      name: 'pipeline.updated',
      type: 'pipeline',
      recordId: dropped.id,
      version: after.version,
      changes,
      record: after.record,
    },
  ])
}

async function putStages(tx: Tx, pipelineId: string, stages: readonly StageInput[]): Promise<void> {
  if (!stages.some((stage) => stage.kind === 'open'))
    throw invalidMember('stages', 'must hold at least one stage of kind open')
  const known = await tx.query<{ id: string; kind: string; held: boolean }>(sql`
    select s.id, s.kind, exists (select 1 from deals d where d.tenant_id = s.tenant_id and d.stage_id = s.id) as held
    from stages s where s.tenant_id = ${tx.ctx.tenantId} and s.pipeline_id = ${pipelineId} for update of s`)
  const rows = stages.map((stage, index) => ({
    id: stage.id?.toLowerCase() ?? newId(),
    name: stage.name,
    kind: stage.kind,
    probability: stage.probability ?? { open: 0, won: 100, lost: 0 }[stage.kind],
    position: stage.order ?? index + 1,
    rottingDays: stage.rottingDays ?? null,
  }))
  if (new Set(rows.map((row) => row.id)).size !== rows.length)
    throw invalidMember('stages', 'must not name a stage twice')
  for (const [index, stage] of stages.entries()) {
    if (stage.id && !known.some((row) => row.id === stage.id?.toLowerCase()))
      throw invalidMember(`stages.${index}.id`, 'must be a stage of this pipeline', 'invalid_reference')
  }
  for (const { id, kind, held } of known) {
    const next = rows.find((row) => row.id === id)
    if (held && next?.kind !== kind)
      throw rule('STAGE_IN_USE', 'A stage that holds deals can neither go nor change its kind; move them first')
  }
  await tx.query(sql`
    delete from stages where tenant_id = ${tx.ctx.tenantId} and pipeline_id = ${pipelineId} and id <> all(${rows.map((row) => row.id)}::uuid[])`)
  await tx.query(sql`
    insert into stages (tenant_id, id, pipeline_id, name, kind, probability, position, rotting_days)
    select ${tx.ctx.tenantId}, s.id, ${pipelineId}, s.name, s.kind, s.probability, s.position, s."rottingDays"
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as s(id uuid, name text, kind text, probability smallint, position integer, "rottingDays" integer)
    on conflict (tenant_id, id) do update set name = excluded.name, kind = excluded.kind, probability = excluded.probability,
      position = excluded.position, rotting_days = excluded.rotting_days`)
}

const silent = new Set(['id', 'version', 'createdAt', 'updatedAt', 'createdById'])

function changesOf(before: Readonly<Record<string, unknown>>, after: Readonly<Record<string, unknown>>): Change[] {
  return Object.entries(after).flatMap(([field, newValue]) => {
    const oldValue = before[field] ?? null
    return silent.has(field) || JSON.stringify(oldValue) === JSON.stringify(newValue ?? null)
      ? []
      : [{ field, oldValue, newValue }]
  })
}
