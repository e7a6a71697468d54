import { z } from 'zod'
import { defineEntity } from '../../kernel/entity/define.ts'
import {
  choice,
  customFields,
  filledSchema,
  json,
  longText,
  ref,
  refs,
  related,
  tags,
  text,
  time,
} from '../../kernel/entity/fields.ts'
import { newId } from '../../kernel/ids.ts'
import { recordTypes } from '../records.ts'

const line = (max: number) => filledSchema(max)

/** The text of a step on a checklist. */
export const stepText = line(500)

const checklistItem = z.strictObject({
  id: line(64).optional(),
  text: stepText,
  done: z.boolean().default(false),
})

/** A step that comes without an id gets one, by which it is known from then on. */
const checklist = z
  .array(checklistItem)
  .max(200)
  .refine((items) => new Set(items.flatMap(({ id }) => id ?? [])).size === items.filter(({ id }) => id).length, {
    message: 'must not name a step twice',
  })
  .overwrite((items) => items.map((item) => ({ ...item, id: item.id ?? newId() })))

/** Something to do, for one or several people, about any record. */
export const task = defineEntity({
  type: 'task',
  path: 'tasks',
  fields: {
    title: text({ required: true, sort: true, searched: 'A' }),
    description: longText({ searched: 'C' }),
    status: choice(['open', 'in_progress', 'completed', 'cancelled'], { default: 'open' }),
    priority: choice(['low', 'normal', 'high', 'urgent'], { default: 'normal' }),
    startAt: time({ sort: true }),
    dueAt: time({ sort: true }),
    remindAt: time({ filter: ['isNull'] }),
    assigneeIds: refs('user', { include: 'assignees' }),
    parentId: ref('task', { include: 'parent' }),
    checklist: json(checklist, { default: [], describe: 'Its steps in their order; each keeps its id' }),
    related: related(recordTypes),
    completedAt: time({ readOnly: true, sort: true }),
    tags: tags(),
    customFields: customFields(),
  },
  namedBy: ['externalId'],
  title: (record) => String(record.title ?? ''),
  heldBy: ['assigneeIds'],
  shareable: true,
  verbs: [
    { verb: 'completed', when: "n.status = 'completed' and o.status <> 'completed'" },
    { verb: 'reopened', when: "n.status in ('open', 'in_progress') and o.status in ('completed', 'cancelled')" },
    { verb: 'assigned', when: 'n.assignee_ids <> o.assignee_ids and not (n.assignee_ids <@ o.assignee_ids)' },
    { verb: 'unassigned', when: 'n.assignee_ids <> o.assignee_ids' },
  ],
  searchable: true,
  example: { title: 'Send the offer', dueAt: '2026-12-01T09:00:00.000Z', priority: 'high' },
})
