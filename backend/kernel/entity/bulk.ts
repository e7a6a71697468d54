import { z } from 'zod'
import type { Ctx } from '../context.ts'
import type { Database, Tx } from '../db/database.ts'
import { Problem } from '../errors.ts'
import { parsePart } from '../http/body.ts'
import { asProblem, problemMembers } from '../http/problem.ts'
import { type Route, route } from '../http/route.ts'
import { apart, sight } from '../sight.ts'
import { survivorOf } from './aliases.ts'
import { named } from './define.ts'
import { idSchema } from './fields.ts'
import type { Repository, Stored, Values } from './repository.ts'
import { unresolved } from './write-values.ts'

const operationSchema = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('create'), data: z.record(z.string(), z.unknown()) }),
  z.strictObject({
    op: z.literal('update'),
    id: idSchema,
    version: z.int().min(1).optional(),
    data: z.record(z.string(), z.unknown()),
  }),
  z.strictObject({ op: z.literal('delete'), id: idSchema, version: z.int().min(1).optional() }),
])

type Operation = z.output<typeof operationSchema>

const bodySchema = z.strictObject({
  operations: z.array(z.unknown()).min(1).max(1_000),
  atomic: z.boolean().default(false),
})

const commitEvery = 100

interface Result {
  readonly status: number
  readonly id?: string
  readonly record?: unknown
  readonly problem?: unknown
}

/** `POST /{r}/bulk`: up to 1,000 operations, each with its result; with `atomic` all or nothing. */
export function bulkRoute(deps: { db: Database; repository: Repository }): Route {
  const { db, repository } = deps
  const { entity } = repository
  const resultSchema = z.object({
    status: z.int().register(sight, apart),
    id: z.uuid().register(sight, apart).optional(),
    record: entity.recordSchema.optional(),
    // What a problem tells of records is not in it: nobody has masked it.
    problem: z.unknown().register(sight, apart).optional(),
  })
  return route({
    method: 'post',
    path: `/${entity.path}/bulk`,
    operationId: `bulk${named(entity.type)}`,
    summary: `Create, change and delete up to 1,000 ${entity.path} in one call`,
    tag: entity.path,
    body: bodySchema,
    responses: {
      200: {
        description: 'One result for each operation, in order',
        schema: z.object({ results: z.array(resultSchema) }),
      },
    },
    problems: [404, 409, 412, 422],
    handle: async (caller, { body }) => {
      const ctx: Ctx = { ...caller, lane: 'bulk' }
      const results = body.atomic
        ? await db.transaction(ctx, (tx) => allOrNothing(db, tx, repository, body.operations))
        : await oneByOne(db, ctx, repository, body.operations)
      return { status: 200, body: { results } }
    },
  })
}

/** The first failure is the answer, with its index. */
async function allOrNothing(
  db: Database,
  tx: Tx,
  repository: Repository,
  operations: readonly unknown[],
): Promise<Result[]> {
  const results: Result[] = []
  for (let start = 0; start < operations.length; start += commitEvery) {
    for (const result of await part(db, tx, repository, operations.slice(start, start + commitEvery))) {
      if (result.error) throw withIndex(result.error, results.length)
      results.push(result)
    }
  }
  return results
}

/** Commits every 100, so that no cursor waits for the whole; within an idempotent call all of it is one commit. */
async function oneByOne(
  db: Database,
  ctx: Ctx,
  repository: Repository,
  operations: readonly unknown[],
): Promise<Result[]> {
  const results: Outcome[] = []
  for (let start = 0; start < operations.length; start += commitEvery) {
    const next = operations.slice(start, start + commitEvery)
    results.push(...(await db.transaction(ctx, (tx) => part(db, tx, repository, next))))
  }
  const instance = `/api/v1/${repository.entity.path}/bulk`
  return results.map(({ error, ...result }) =>
    error ? { status: error.status, problem: problemMembers(error, instance, ctx.requestId) } : result,
  )
}

interface Outcome extends Result {
  readonly error?: Problem
}

/** Neighbouring creates go in one statement; where that fails, and for everything else, each operation is by itself. */
async function part(db: Database, tx: Tx, repository: Repository, operations: readonly unknown[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (let start = 0; start < operations.length; ) {
    const run = createsFrom(repository, operations, start)
    const made = run.length > 1 ? await together(db, tx, repository, run) : null
    if (made) outcomes.push(...made)
    else
      for (const operation of operations.slice(start, start + Math.max(run.length, 1)))
        outcomes.push(await alone(db, tx, repository, operation))
    start += Math.max(run.length, 1)
  }
  return outcomes
}

/** The values of the creates that stand next to each other from a place on, as far as they are well-formed. */
function createsFrom(repository: Repository, operations: readonly unknown[], start: number): Values[] {
  const run: Values[] = []
  for (const sent of operations.slice(start)) {
    const operation = operationSchema.safeParse(sent)
    if (!operation.success || operation.data.op !== 'create') break
    const values = repository.entity.createSchema.safeParse(operation.data.data)
    if (!values.success) break
    run.push(values.data)
  }
  return run
}

/** Null when it failed as a whole: then each must be tried by itself to find which. */
async function together(
  db: Database,
  tx: Tx,
  repository: Repository,
  run: readonly Values[],
): Promise<Outcome[] | null> {
  try {
    const made = await db.transaction(tx.ctx, (nested) =>
      repository.createMany(
        nested,
        run.map((values) => ({ values })),
      ),
    )
    return made.map((one) =>
      'missing' in one ? { status: 400, error: unresolved(one.missing) } : { status: 201, ...shown(one) },
    )
  } catch (error) {
    const problem = asProblem(error)
    if (!problem || problem.status >= 500) throw error
    return null
  }
}

async function alone(db: Database, tx: Tx, repository: Repository, operation: unknown): Promise<Outcome> {
  try {
    return await db.transaction(tx.ctx, async (nested) => {
      try {
        return await perform(nested, repository, operation)
      } catch (error) {
        // What was merged is changed where it is now, as a client would that follows the 307 of a single call.
        const id = asProblem(error)?.status === 404 && idSchema.safeParse(idOf(operation)).data
        const survivor = id ? await survivorOf(nested, repository.entity, id) : null
        if (!survivor) throw error
        return perform(nested, repository, { ...Object(operation), id: survivor })
      }
    })
  } catch (error) {
    const problem = asProblem(error)
    if (!problem || problem.status >= 500) throw error
    return { status: problem.status, error: problem }
  }
}

const idOf = (operation: unknown): unknown => Object(operation).id

const withIndex = ({ status, code, message, errors }: Problem, index: number): Problem =>
  new Problem(status, code, message, { extra: { index }, ...(errors ? { errors } : {}) })

async function perform(tx: Tx, repository: Repository, sent: unknown): Promise<Result> {
  const operation = parsePart(operationSchema, sent) as Operation
  const { entity } = repository
  if (operation.op === 'create') {
    const made = await repository.create(tx, parsePart(entity.createSchema, operation.data) as Record<string, unknown>)
    return { status: 201, ...shown(made) }
  }
  const expected = operation.version === undefined ? null : [operation.version]
  if (operation.op === 'delete') {
    await repository.remove(tx, operation.id, expected)
    return { status: 204, id: operation.id }
  }
  const data = parsePart(entity.patchSchema, operation.data) as Record<string, unknown>
  return { status: 200, ...shown(await repository.update(tx, operation.id, data, { expected })) }
}

const shown = (stored: Stored) => ({ id: stored.id, record: JSON.parse(stored.json) })
