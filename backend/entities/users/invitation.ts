import { z } from 'zod'
import { email, filledSchema, idSchema } from '../../kernel/entity/fields.ts'
import { roles } from './user.entity.ts'

/** Days in which an invitation can be accepted. */
export const invitedFor = 7

/** Whom to invite, as whom. */
export const invitationInput = z.strictObject({
  email: email().schema,
  name: filledSchema(100).optional(),
  role: z.enum(roles).default('member'),
  roleId: idSchema.nullable().optional().meta({ description: 'A role of the tenant’s own, instead of `role`' }),
  userId: idSchema
    .optional()
    .meta({ description: 'A member who is there and cannot sign in yet; role, name and team are his own' }),
  teamId: idSchema.nullable().optional(),
})

/** An invitation as the API shows it. */
export const invitationSchema = z
  .object({
    id: z.uuid(),
    email: z.string(),
    name: z.string().nullable(),
    role: z.string(),
    roleId: z.uuid().nullable(),
    teamId: z.uuid().nullable(),
    userId: z
      .uuid()
      .nullable()
      .meta({ description: 'The member who could not sign in until he accepts, or who accepted' }),
    status: z.enum(['pending', 'expired', 'accepted', 'revoked']),
    createdById: z.uuid().nullable(),
    createdAt: z.iso.datetime({ precision: 3 }),
    sentAt: z.iso.datetime({ precision: 3 }),
    expiresAt: z.iso.datetime({ precision: 3 }),
    acceptedAt: z.iso.datetime({ precision: 3 }).nullable(),
  })
  .meta({
    id: 'Invitation',
    example: {
      id: '0192f0c1-7a4e-7d31-9a55-0d7f3c1b2a90',
      email: 'grace@example.com',
      name: 'Grace Hopper',
      role: 'member',
      roleId: null,
      teamId: null,
      userId: null,
      status: 'pending',
      createdById: '0192f0c0-55aa-7b10-b3c4-2e1f0a9d8c77',
      createdAt: '2026-11-21T08:00:00.000Z',
      sentAt: '2026-11-21T08:00:00.000Z',
      expiresAt: '2026-11-28T08:00:00.000Z',
      acceptedAt: null,
    },
  })

/** An invitation as the API shows it. */
export type Invitation = z.infer<typeof invitationSchema>
