import { z } from 'zod'
import type { Database } from '../../kernel/db/database.ts'
import { recordAnswer } from '../../kernel/entity/answer.ts'
import { email, idSchema } from '../../kernel/entity/fields.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { forbidden } from '../../kernel/errors.ts'
import { readIfMatch } from '../../kernel/http/etag.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import { hashPassword } from '../../kernel/password.ts'
import { createUser, inviteUser } from './invitation.actions.ts'
import { removeUser, updateUser } from './user.actions.ts'
import { user } from './user.entity.ts'

/** A password as people choose it: at least 8 characters, at most what a hash should have to read. */
export const passwordSchema = z
  .string()
  .min(8, 'must have at least 8 characters')
  .max(200, 'must have at most 200 characters')

/** Making, changing and removing members; reading them is the engine's. */
export function userRoutes({ db, records: users }: { db: Database; records: Repository }): Route[] {
  const params = z.object({ id: idSchema })
  const record = { description: 'The user', schema: user.recordSchema, headers: ['ETag'] }
  return [
    route({
      method: 'post',
      path: '/users',
      operationId: 'createUser',
      summary: 'Add a member: with a password he signs in at once, without he is invited',
      description:
        'Who has an account already, in whichever tenant, is always invited: his password stays his own, and the one that was sent counts for nothing.',
      tag: 'users',
      body: withPassword,
      responses: { 201: { ...record, headers: ['ETag', 'Location'] } },
      problems: [409],
      handle: async (ctx, { body }) => {
        if (ctx.rights.scope('user', 'create') === 'none') throw forbidden('Your role may not add members')
        const { password, ...values } = body
        const passwordHash = password === undefined ? undefined : await hashPassword(password)
        const made = await db.transaction(ctx, (tx) =>
          passwordHash === undefined ? inviteUser(tx, users, values) : createUser(tx, users, values, passwordHash),
        )
        const answer = recordAnswer(made)
        return { ...answer, status: 201, headers: { ...answer.headers, Location: `/api/v1/users/${made.id}` } }
      },
    }),
    route({
      method: 'patch',
      path: '/users/{id}',
      operationId: 'updateUser',
      summary: 'Change a member',
      tag: 'users',
      params,
      body: user.patchSchema,
      responses: { 200: record },
      problems: [409, 412, 422],
      handle: async (ctx, { params, body, header }) =>
        recordAnswer(
          await db.transaction(ctx, (tx) => updateUser(tx, users, params.id, body, readIfMatch(header('If-Match')))),
        ),
    }),
    route({
      method: 'delete',
      path: '/users/{id}',
      operationId: 'deleteUser',
      summary: 'End a membership and its sessions',
      tag: 'users',
      params,
      responses: { 204: { description: 'Ended', schema: null } },
      problems: [412, 422],
      handle: async (ctx, { params, header }) => {
        if (ctx.rights.scope('user', 'delete') === 'none') throw forbidden('Your role may not remove members')
        await db.transaction(ctx, (tx) => removeUser(tx, users, params.id, readIfMatch(header('If-Match'))))
        return { status: 204 }
      },
    }),
  ]
}

const withPassword = z.strictObject({
  ...shapeOf(user.createSchema),
  email: email().schema,
  password: passwordSchema.optional(),
})

function shapeOf(schema: z.ZodType): z.ZodRawShape {
  if (!(schema instanceof z.ZodObject)) throw new Error('the schema of a user is an object')
  return schema.shape
}
