import { afterAll, beforeAll, expect, test } from 'vitest'
import { company } from '../../entities/companies/company.entity.ts'
import { contact } from '../../entities/contacts/contact.entity.ts'
import { deal } from '../../entities/deals/deal.entity.ts'
import { interaction } from '../../entities/interactions/interaction.entity.ts'
import { lead } from '../../entities/leads/lead.entity.ts'
import { note } from '../../entities/notes/note.entity.ts'
import { product } from '../../entities/products/product.entity.ts'
import { recordTypes } from '../../entities/records.ts'
import { task } from '../../entities/tasks/task.entity.ts'
import { type Entity, neededMembers } from '../../kernel/entity/define.ts'
import type { Field } from '../../kernel/entity/fields.ts'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'
import { type Call, unique } from '../../test/operations/call.ts'
import { callOperation, operations } from '../../test/operations/index.ts'
import { createPrinter } from '../../test/printer.ts'

let house: TestApp

const nouns: readonly Entity[] = [contact, company, lead, deal, task, note, interaction, product]

beforeAll(async () => {
  house = await startTestApp({ jobs: [createPrinter({ broken: true }).job] })
  const { alice } = house
  for (const resource of recordTypes)
    await alice.build('customField', { resource, key: 'secret', label: 'Secret', type: 'text' })
})
afterAll(() => house.stop())

/** What all words have in common, as text, as a number, and as a day: too long to stand in an id by chance. */
const seen = /unseen|73577357|1877-05-04/i

const words: Readonly<Record<string, unknown>> = {
  text: 'Unseen words',
  longText: 'Unseen words',
  email: 'unseen@example.com',
  emails: ['unseen.too@example.com'],
  phone: '+1 555 73577357',
  phones: ['+1 556 73577357'],
  url: 'https://unseen.example',
  money: 73577357,
  decimal: 73577357,
  date: '1877-05-04',
  time: '1877-05-04T03:02:01.000Z',
  tags: ['unseen'],
  customFields: { secret: 'Unseen words' },
}

/** Whole values of members that are objects or lists of their own. */
const wholes: Readonly<Record<string, unknown>> = {
  address: { city: 'Unseen' },
  consent: { source: 'Unseen' },
  checklist: [{ text: 'Unseen words' }],
  domain: 'unseen.example',
}

const wordOf = (name: string, { kind }: Field): unknown => wholes[name] ?? words[kind]

/** Alice, whose records hold a word that stands nowhere else in each of their members but these. */
function writerOf(alice: Client, without: readonly string[]): Client {
  const values = new Map(nouns.map((entity) => [entity.type, wordsFor(entity, new Set([...given, ...without]))]))
  return { ...alice, build: (type, more) => alice.build(type, { ...values.get(type), ...more }) }
}

/** Of what names are made stands in them; the others follow rules of their own. */
const given = ['firstName', 'lastName', 'timezone', 'locale', 'externalId', 'closedAt', 'lostReason']

function wordsFor(entity: Entity, without: ReadonlySet<string>): Record<string, unknown> {
  const needed = neededMembers(entity)
  const held = Object.entries(entity.all).filter(
    ([name, { readOnly }]) => !readOnly && !needed.has(name) && !without.has(name),
  )
  const known = held.flatMap(([name, field]) => {
    const word = wordOf(name, field)
    return word === undefined ? [] : [[name, word] as const]
  })
  return Object.fromEntries(known)
}

/** What sums are made of: who does not see it is refused them, and what else they might tell would go unseen here. */
const summed = ['value', 'weightedValue', 'linesTotal', 'currency', 'pipelineId', 'stageId', 'status', 'parentId']
const summedToo = ['expectedCloseDate', 'closedAt', 'stageEnteredAt', 'companyId', 'score', 'leadScore', 'probability']

test.each([
  // First, as the records of the other hold words in members that this one shows.
  ['everything but what sums are made of', [...summed, ...summedToo]],
  ['everything that can be hidden', []],
])('no call tells what a role hides: %s', { timeout: 300_000 }, async (_what, shown: string[]) => {
  const writer = writerOf(house.alice, shown)
  const hiddenOf = (entity: Entity) =>
    Object.keys(entity.all).filter((name) => !neededMembers(entity).has(name) && !shown.includes(name))
  const role = await house.alice.build('role', {
    name: unique('Blind'),
    permissions: recordTypes.flatMap((resource) =>
      ['read', 'create', 'update', 'delete'].map((action) => ({ resource, action, scope: 'all' })),
    ),
    fieldRules: nouns.flatMap((entity) =>
      hiddenOf(entity).map((field) => ({ resource: entity.type, field, rule: 'hidden' })),
    ),
  })
  const blind = await house.join('Blind', 'member', { roleId: role.id })
  const routes = house.app.routes.filter(
    ({ access, method, path }) => access === undefined && (method === 'get' || !path.startsWith('/auth/')),
  )
  const calls: { method: string; path: string; id: string; call: Call }[] = []
  for (const { method, path, operationId: id } of routes) {
    const call = await operations[id]?.({ ...house, alice: writer })
    if (!call) throw new Error(`${id} has no example`)
    if (!call.as) calls.push({ method, path: `/api/v1${path}`, id, call })
  }
  const last = await writer.build('contact')
  await writer.timeline('contact', last.id, 1)
  await eventually(async () => (await writer.get('/search/contacts?q=unseen')).body.data.length > 0, 'the search')
  const told: string[] = []
  const served: string[] = []
  for (const { method, path, id, call } of calls.toSorted(
    (a, b) => Number(b.method === 'get') - Number(a.method === 'get'),
  )) {
    const answer = await callOperation(blind, method, path, call)
    if (answer.status < 300) served.push(id)
    const text = JSON.stringify(answer.body)
    const found = seen.exec(text)
    // That there is a tag says nothing of who has it.
    if (found && id !== 'listTag') told.push(`${id}: ${text.slice(Math.max(0, found.index - 200), found.index + 50)}`)
  }
  expect(told).toEqual([])
  // They are no words that nobody would be told.
  for (const path of ['/contacts?limit=200', '/timeline?limit=200', '/search?q=unseen', '/contacts/duplicates'])
    expect([path, seen.test(JSON.stringify((await writer.get(path)).body))]).toEqual([path, true])
  expect(served.length).toBeGreaterThan(150)
})
