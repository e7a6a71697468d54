import { afterAll, beforeAll, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from './app.ts'
import { type Callers, createCallers, type KeyName, type Who } from './callers.ts'
import { type Client, eventually } from './client.ts'
import { expectations } from './expectations.ts'
import type { Expected, Outcome } from './expected.ts'
import { furnish, marks } from './furniture.ts'
import { documentOf } from './openapi-check.ts'
import { type Call, callOperation, operations } from './operations/index.ts'
import { createPrinter } from './printer.ts'

interface Operation {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly expected: Expected
}

const everybody: readonly Who[] = ['nobody', 'viewer', 'stranger', 'own']

let house: TestApp
let callers: Callers
let operationIds: string[]
let walked: Operation[]
/** What requests were answered, by the ids that they were sent with. */
const answered = new Map<string, number>()

beforeAll(async () => {
  // What is retried must have failed.
  house = await startTestApp({ jobs: [createPrinter({ broken: true }).job] })
  callers = await createCallers(house)
  await furnish(house)
  const { paths } = await documentOf(house.url)
  const listed = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).flatMap(([method, { operationId: id }]) => (id ? [{ id, method, path }] : [])),
  )
  operationIds = listed.map(({ id }) => id)
  walked = listed.flatMap((one) => {
    const expected = expectations[one.id]
    return expected ? [{ ...one, expected }] : []
  })
})
afterAll(() => house.stop())

test('every operation is expected to answer something and has an example, and nothing else is', () => {
  expect(Object.keys(expectations).sort()).toEqual(operationIds.toSorted())
  expect(Object.keys(operations).sort()).toEqual(operationIds.toSorted())
})

test('who looks around finds what he may read, and nothing of what others have', async () => {
  const wrong: unknown[] = []
  for (const operation of walked.filter(looksAround)) {
    const call = await exampleOf(operation)
    // What nobody could find would prove nothing.
    await eventually(async () => {
      const { status, text } = await ask(operation, 'alice', call.as ?? house.alice, call)
      return status < 300 && (nameless.test(operation.id) || found(text, secrets()).length > 0)
    }, `what ${operation.id} tells Alice`)
    wrong.push(...(await heldByAll(operation, call)))
  }
  expect(wrong).toEqual([])
}, 300_000)

test('who calls about what is Alice’s is answered as the table says, and she can still do it', async () => {
  const wrong: unknown[] = []
  for (const operation of walked.filter((one) => !looksAround(one))) {
    const call = await exampleOf(operation)
    wrong.push(...(await heldByAll(operation, call)))
    if (isPublic(operation)) continue
    const { status, text } = await ask(operation, 'alice', call.as ?? house.alice, call)
    if (status >= 300) wrong.push([operation.id, 'Alice herself', status, text])
  }
  expect(wrong).toEqual([])
}, 600_000)

test('what he may not do with Alice’s, he may with his own', async () => {
  const failed: unknown[] = []
  const { own } = callers.people
  for (const operation of walked.filter(({ expected }) => expected.own === 404 && expected.viewer !== 404)) {
    const call = await exampleOf(operation, own)
    const { status, text } = await ask(operation, 'own-with-own', call.as ?? own, call)
    if (status >= 300) failed.push([operation.id, status, text])
  }
  expect(failed).toEqual([])
}, 300_000)

test('nothing that was refused was done, and a stranger did nothing in Alice’s house', async () => {
  const events = await asOwner(house.ownerUrl, async (owner) => {
    const { rows } = await owner.query(`select request_id as request, name, tenant_id as tenant from events`)
    return rows as { request: string; name: string; tenant: string }[]
  })
  const done = new Set(events.map(({ request }) => request))
  // What no event tells of could have been done in silence.
  const untold = walked.filter((one) => one.method !== 'get' && !isPublic(one) && !done.has(`alice.${one.id}`))
  expect(untold.map(({ id }) => id).filter((id) => !silent.test(id))).toEqual([])
  const publicly = new Set(walked.filter(isPublic).map(({ id }) => `stranger.${id}`))
  const wrong = events.filter(
    ({ request, tenant }) =>
      (answered.get(request) ?? 0) >= 400 ||
      (request.startsWith('stranger.') && tenant === house.alice.tenantId && !publicly.has(request)),
  )
  expect(wrong).toEqual([])
})

const isPublic = ({ expected }: Operation): boolean => expected.nobody !== 401

/** Asks for what there is, and not for one thing. */
const looksAround = (operation: Operation): boolean =>
  operation.method === 'get' && !operation.path.includes('{') && !isPublic(operation)

/** What tells of the caller or of the whole house, or numbers only. */
const nameless =
  /^(listSessions|listPasskeys|listOnline|explainAccess|searchStatus|listQueues|listSchedules|count\w*UnreadNotifications)$/

/** Writes of Alice's that are no change of what the tenant has. */
const silent =
  /^(check\w+Duplicates|enableTwoFactor|passkeyOptions|indexRecords?|unindexRecord|runSchedule|retryJob|pauseQueue|resumeQueue|cleanQueue)$/

const secrets = (): string[] => [...Object.values(marks), house.alice.userId, house.alice.tenantId, house.bob.userId]
const found = (text: string, words: readonly string[]): string[] => words.filter((word) => text.includes(word))

async function exampleOf({ id }: Operation, alice = house.alice): Promise<Call> {
  const example = operations[id]
  if (!example) throw new Error(`backend/test/operations has no example of ${id}`)
  return example({ ...house, alice })
}

/** What was answered otherwise than expected, or told what it should not. */
async function heldByAll(operation: Operation, call: Call): Promise<unknown[]> {
  const { expected } = operation
  const wrong: unknown[] = []
  for (const who of everybody) {
    const allowed = statusOf(expected[who]) < 300
    // What is done to another uses its example up.
    const usedUp = allowed && operation.method !== 'get' && call.as === undefined
    const example = usedUp ? await exampleOf(operation) : call
    const caller = expected.once ? await callers.another(who) : callers.people[who]
    const answer = await ask(operation, who, caller, example)
    const told = isPublic(operation) ? [] : found(answer.text, hiddenFrom(who))
    if (answer.outcome !== printed(expected[who]) || told.length > 0)
      wrong.push([operation.id, who, answer.outcome, told, answer.text.slice(0, 300)])
    if (allowed && expected.empty) expect([operation.id, answer.body]).toMatchObject([operation.id, expected.empty])
  }
  for (const [name, outcome, scope] of keysFor(expected)) {
    const answer = await ask(operation, `key-${name.replaceAll(' ', '-')}`, callers.keys[name], call)
    const told = isPublic(operation) ? [] : found(answer.text, Object.values(marks))
    if (answer.outcome !== outcome || told.length > 0 || !answer.text.includes(scope))
      wrong.push([operation.id, `a key for ${name}`, answer.outcome, told, answer.text.slice(0, 300)])
  }
  return wrong
}

/** Of his own tenant somebody knows how it is set up, and who is in it. */
const hiddenFrom = (who: Who): string[] =>
  ({ nobody: secrets(), viewer: [], stranger: secrets(), own: [marks.records, marks.amount] })[who]

/** Which keys are to call, how they are answered, and the scope that they are told to miss. */
function keysFor({ key }: Expected): [KeyName, string, string][] {
  if (key === 'people') return [['all', printed(403), '']]
  if (typeof key === 'number') return [['elsewhere', printed(key), '']]
  const [resource, action] = key.split(':')
  const other = resource === 'target' ? 'elsewhere than targets' : 'elsewhere'
  return [
    [other, printed(403), key],
    [`all but ${action}` as KeyName, printed(403), ''],
  ]
}

const codes: Readonly<Record<number, string>> = { 401: 'UNAUTHENTICATED', 403: 'FORBIDDEN', 404: 'NOT_FOUND' }
const statusOf = (outcome: Outcome): number => Number.parseInt(String(outcome), 10)
const printed = (outcome: Outcome): string =>
  typeof outcome === 'number' && codes[outcome] ? `${outcome} ${codes[outcome]}` : String(outcome)

/** Calls an operation under a request id that names both; of a bulk call the answer is that to its first part. */
async function ask({ id, method, path }: Operation, who: string, caller: Client, call: Call) {
  const request = `${who}.${id}`
  const raw: Client['raw'] = (verb, at, body, headers) =>
    caller.raw(verb, at, body, { ...headers, 'x-request-id': request })
  const { status: whole, body } = await callOperation({ ...caller, raw }, method, path, call)
  const [{ status, problem }] = body.results ?? [{ status: whole, problem: body }]
  answered.set(request, status)
  const outcome = status >= 400 ? `${status} ${problem.code}` : String(status)
  return { status, outcome, body, text: JSON.stringify(body) }
}
