import { defineEntity } from '../../kernel/entity/define.ts'
import {
  choice,
  currency,
  customFields,
  date,
  decimal,
  integer,
  money,
  ref,
  refs,
  tags,
  text,
  time,
} from '../../kernel/entity/fields.ts'

const stageProbability = '(select s.probability from stages s where s.tenant_id = r.tenant_id and s.id = r.stage_id)'

/** SQL of what a deal is worth by how likely it is to be won: as was said of it itself, else of its stage. */
export const weightedSql = (deal: string, ofStage: string): string =>
  `round(${deal}.value * coalesce(${deal}.probability_set, ${ofStage}) / 100, 4)`

/** A sale on its way through a pipeline. Its status is the kind of its stage. */
export const deal = defineEntity({
  type: 'deal',
  path: 'deals',
  fields: {
    name: text({ required: true, sort: true, searched: 'A' }),
    value: money({
      column: 'value_set',
      expression: 'trim_scale(r.value)',
      sort: true,
      sortColumn: 'value_units',
      describe: 'What its lines come to unless set, null gives it back to the lines',
    }),
    valueSource: choice(['lines', 'manual'], {
      readOnly: true,
      neverNull: true,
      filter: [],
      expression: "case when r.value_set is null then 'lines' else 'manual' end",
      describe: 'Whether the value follows the lines or was set',
    }),
    linesTotal: money({
      readOnly: true,
      filter: [],
      from: ['value'],
      describe: 'What its lines come to, without tax; null without any',
    }),
    currency: currency(),
    pipelineId: ref('pipeline', { include: 'pipeline', neverNull: true, filter: ['eq', 'ne', 'in', 'nin'] }),
    stageId: ref('stage', { neverNull: true, filter: ['eq', 'ne', 'in', 'nin'] }),
    status: choice(['open', 'won', 'lost'], { readOnly: true, neverNull: true, filter: ['eq', 'ne', 'in', 'nin'] }),
    probability: integer({
      min: 0,
      max: 100,
      column: 'probability_set',
      expression: `coalesce(r.probability_set, ${stageProbability})`,
      filter: [],
      describe: "Percent; the stage's unless set, null gives it back to the stage",
    }),
    expectedCloseDate: date({ sort: true }),
    closedAt: time({ sort: true }),
    lostReason: text({ max: 1000, filter: ['isNull'], searched: 'D', pickList: 'lost-reason' }),
    companyId: ref('company', { include: 'company' }),
    contactIds: refs('contact', { include: 'contacts' }),
    ownerId: ref('user', { include: 'owner', absent: 'actor' }),
    source: text({ max: 100, pickList: 'source' }),
    stageEnteredAt: time({ readOnly: true, neverNull: true, sort: true, filter: ['eq', 'gt', 'gte', 'lt', 'lte'] }),
    rotsAt: time({
      readOnly: true,
      sort: true,
      describe: "When it has been in its stage for the stage's rottingDays: with rotsAt in the past it rots",
    }),
    position: decimal({ neverNull: true, filter: [], describe: 'Order of the cards within a stage, ascending' }),
    weightedValue: money({
      readOnly: true,
      filter: [],
      from: ['value', 'probability'],
      expression: `trim_scale(${weightedSql('r', stageProbability)})`,
    }),
    tags: tags(),
    customFields: customFields(),
  },
  namedBy: ['externalId'],
  title: (record) => String(record.name ?? ''),
  subtitle: 'companyId',
  heldBy: ['ownerId'],
  shareable: true,
  parts: { lineItems: ['value', 'linesTotal'] },
  changedBy: 'changed_by_id',
  verbs: [
    { verb: 'won', when: "n.status = 'won' and o.status <> 'won'" },
    { verb: 'lost', when: "n.status = 'lost' and o.status <> 'lost'" },
    { verb: 'reopened', when: "n.status = 'open' and o.status <> 'open'" },
    { verb: 'moved', when: 'n.stage_id <> o.stage_id' },
    { verb: 'assigned', when: 'n.owner_id is distinct from o.owner_id and n.owner_id is not null' },
    { verb: 'unassigned', when: 'n.owner_id is distinct from o.owner_id and n.owner_id is null' },
  ],
  searchable: true,
  example: { name: '200 engines', value: 48000, currency: 'GBP', expectedCloseDate: '2026-12-15' },
})
