import { matches } from '../../kernel/events/bus.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { People } from './people.ts'

export type Priority = 'low' | 'normal' | 'high' | 'urgent'

/** One sentence of the product: who is told what when. */
export interface Rule {
  readonly type: string
  /** Names of events with wildcards by segment. */
  readonly on: readonly string[]
  /** Whether the change is the one that the rule speaks of. */
  when(event: DomainEvent): boolean
  /** Who is told, but for the actor and those who are no longer there. */
  readonly to: readonly Recipients[]
  readonly title: string
  /** `{actor}`, `{noun}` and `{name}` are filled in. */
  readonly message: string
  /** What is said instead of many of them that one operation brought; `{count}` is filled in. */
  readonly summary: string
  readonly priority: Priority
  /** More that is filled in. */
  readonly words?: (event: DomainEvent) => Readonly<Record<string, string>>
  /** What an entry says to machines of the event itself. */
  readonly data?: (event: DomainEvent) => Readonly<Record<string, unknown>>
}

/** People of an event by their part in it. */
type Recipients = (event: DomainEvent, people: People) => readonly string[]

/** Who is told what: a new notification is a new row. */
export const rules: readonly Rule[] = [
  assigned('contact', 'contacts'),
  assigned('company', 'companies'),
  assigned('lead', 'leads'),
  assigned('deal', 'deals'),
  {
    type: 'deal.won',
    on: ['deal.*'],
    when: became('status', 'won'),
    to: [owner, ownersManager],
    title: 'Deal won',
    message: '{actor} won the deal {name}',
    summary: '{count} deals were won',
    priority: 'normal',
  },
  {
    type: 'deal.lost',
    on: ['deal.*'],
    when: became('status', 'lost'),
    to: [owner, ownersManager],
    title: 'Deal lost',
    message: '{actor} lost the deal {name}',
    summary: '{count} deals were lost',
    priority: 'normal',
  },
  {
    type: 'task.assigned',
    on: ['task.*'],
    when: changed('assigneeIds'),
    to: [newAssignees],
    title: 'Task assigned to you',
    message: '{actor} assigned the task {name} to you',
    summary: '{count} tasks were assigned to you',
    priority: 'normal',
  },
  {
    type: 'task.completed',
    on: ['task.*'],
    when: became('status', 'completed'),
    to: [creator, assignees],
    title: 'Task completed',
    message: '{actor} completed the task {name}',
    summary: '{count} tasks were completed',
    priority: 'normal',
  },
  {
    type: 'mention.created',
    on: ['comment.created', 'comment.updated'],
    when: () => true,
    to: [mentioned],
    title: 'You were mentioned',
    message: '{actor} mentioned you on the {noun} {name}',
    summary: 'You were mentioned {count} times',
    priority: 'normal',
    data: commentId,
  },
  {
    type: 'comment.created',
    on: ['comment.created'],
    when: () => true,
    to: [holdersNotMentioned],
    title: 'New comment',
    message: '{actor} commented on the {noun} {name}',
    summary: '{count} comments were made',
    priority: 'normal',
    data: commentId,
  },
  {
    type: 'task.due',
    on: ['task.due'],
    when: () => true,
    to: [reminded],
    title: 'Task due',
    message: 'The task {name} is due',
    summary: '{count} tasks are due',
    priority: 'high',
  },
  {
    type: 'task.overdue',
    on: ['task.overdue'],
    when: () => true,
    to: [reminded],
    title: 'Task overdue',
    message: 'The task {name} is overdue',
    summary: '{count} tasks are overdue',
    priority: 'high',
  },
  {
    type: 'import.completed',
    on: ['import.completed'],
    when: () => true,
    to: [creator],
    title: 'Import completed',
    message: '{created} created, {updated} updated, {skipped} skipped, {failed} failed of {total} rows of {fileName}',
    summary: '{count} imports were completed',
    priority: 'normal',
    words: workWords,
  },
  {
    type: 'import.completed',
    on: ['import.failed'],
    when: () => true,
    to: [creator],
    title: 'Import failed',
    message: 'The import of {fileName} failed: {failure}',
    summary: '{count} imports failed',
    priority: 'high',
    words: workWords,
  },
  {
    type: 'export.ready',
    on: ['export.completed'],
    when: () => true,
    to: [creator],
    title: 'Export ready',
    message: 'Your export of {processed} {resource} is ready',
    summary: '{count} exports are ready',
    priority: 'normal',
    words: workWords,
  },
  {
    type: 'export.ready',
    on: ['export.failed'],
    when: () => true,
    to: [creator],
    title: 'Export failed',
    message: 'Your export of {resource} failed: {failure}',
    summary: '{count} exports failed',
    priority: 'high',
    words: workWords,
  },
  {
    type: 'handover.failed',
    on: ['user.hand_over_failed'],
    when: () => true,
    to: [asker],
    title: 'Hand-over failed',
    message: 'Not all that {name} had could be handed over; ask for it again',
    summary: '{count} hand-overs failed',
    priority: 'high',
  },
]

/** The rules that speak of an event. An import tells nobody of each record that it makes. */
export const rulesFor = (event: DomainEvent): Rule[] =>
  event.actor.type === 'import'
    ? []
    : rules.filter((rule) => rule.on.some((pattern) => matches(pattern, event.name)) && rule.when(event))

/** Everybody of whom a rule may ask: the holders of a record, its creator, who is mentioned, and who asked for it. */
export const involved = (event: DomainEvent): string[] => [
  ...owner(event),
  ...assignees(event),
  ...creator(event),
  ...mentioned(event),
  ...asker(event),
]

/** A record came to an owner, by whatever change. */
function assigned(type: string, many: string): Rule {
  return {
    type: `${type}.assigned`,
    on: [`${type}.*`],
    when: changed('ownerId'),
    to: [owner],
    title: `${type.charAt(0).toUpperCase()}${type.slice(1)} assigned to you`,
    message: '{actor} assigned the {noun} {name} to you',
    summary: `{count} ${many} were assigned to you`,
    priority: 'normal',
  }
}

function changed(field: string): Rule['when'] {
  return (event) => event.changes.some((change) => change.field === field)
}

function became(field: string, value: string): Rule['when'] {
  return (event) => event.changes.some((change) => change.field === field && change.newValue === value)
}

function owner(event: DomainEvent): string[] {
  return ids(event.record?.ownerId)
}

function ownersManager(event: DomainEvent, people: People): string[] {
  return owner(event).flatMap((id) => ids(people.managerOf(id)))
}

function creator(event: DomainEvent): string[] {
  return ids(event.record?.createdById)
}

function assignees(event: DomainEvent): string[] {
  return ids(event.record?.assigneeIds)
}

/** Whom a reminder is for. */
function reminded(event: DomainEvent): string[] {
  return ids(event.data.userIds)
}

function asker(event: DomainEvent): string[] {
  return ids(event.data.askedById)
}

function newAssignees(event: DomainEvent): string[] {
  const before = event.changes.find((change) => change.field === 'assigneeIds')?.oldValue
  return assignees(event).filter((id) => !ids(before).includes(id))
}

function mentioned(event: DomainEvent): string[] {
  return ids(event.data.mentioned)
}

/** Who holds the record, else who made it; whom the comment mentions is told so, and not once more. */
function holdersNotMentioned(event: DomainEvent): string[] {
  const holders = [...owner(event), ...assignees(event)]
  return (holders.length > 0 ? holders : creator(event)).filter((id) => !mentioned(event).includes(id))
}

function commentId(event: DomainEvent): Readonly<Record<string, unknown>> {
  return { commentId: event.data.commentId }
}

function workWords({ record }: DomainEvent): Readonly<Record<string, string>> {
  const { file, ...members } = Object(record)
  const words = Object.entries({ ...members, fileName: file?.name })
  return Object.fromEntries(words.map(([name, value]) => [name, String(value ?? '')]))
}

const ids = (value: unknown): string[] => [value].flat().filter((item) => typeof item === 'string')
