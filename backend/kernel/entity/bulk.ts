import { z } from 'zod'
import type { Ctx } from '../context.ts'
import type { Database, Tx } from '../db/database.ts'
import { Problem } from '../errors.ts'
import { parsePart } from '../http/body.ts'
import { asProblem } from '../http/problem.ts'
import { type Route, route } from '../http/route.ts'
import { named } from './define.ts'
import { idSchema } from './fields.ts'
import type { Repository, Stored } from './repository.ts'

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
    status: z.int(),
    id: z.uuid().optional(),
    record: z.unknown().optional(),
    problem: z.unknown().optional(),
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
        ? await db.transaction(ctx, (tx) => allOrNothing(tx, repository, body.operations))
        : await oneByOne(db, ctx, repository, body.operations)
      return { status: 200, body: { results } }
    },
  })
}

async function allOrNothing(tx: Tx, repository: Repository, operations: readonly unknown[]): Promise<Result[]> {
  const results: Result[] = []
  for (const [index, operation] of operations.entries()) {
    try {
      results.push(await perform(tx, repository, operation))
    } catch (error) {
      const problem = asProblem(error)
      if (!problem) throw error
      throw new Problem(problem.status, problem.code, problem.message, {
        extra: { index },
        ...(problem.errors ? { errors: problem.errors } : {}),
      })
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
  const results: Result[] = []
  for (let start = 0; start < operations.length; start += commitEvery) {
    const part = operations.slice(start, start + commitEvery)
    results.push(
      ...(await db.transaction(ctx, async (tx) => {
        const done: Result[] = []
        for (const operation of part) done.push(await alone(db, tx, repository, operation))
        return done
      })),
    )
  }
  return results
}

async function alone(db: Database, tx: Tx, repository: Repository, operation: unknown): Promise<Result> {
  try {
    return await db.transaction(tx.ctx, (nested) => perform(nested, repository, operation))
  } catch (error) {
    const problem = asProblem(error)
    if (!problem || problem.status >= 500) throw error
    const { status, code, message: detail, errors } = problem
    return { status, problem: { status, code, detail, ...(errors ? { errors } : {}) } }
  }
}

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
