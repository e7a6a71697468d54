import { defineEntity } from '../../kernel/entity/define.ts'
import { choice, email, flag, ref, text } from '../../kernel/entity/fields.ts'
import { locale, timezone } from '../../kernel/entity/places.ts'

/** The built-in roles, the mightiest first. */
export const roles = ['owner', 'admin', 'manager', 'member', 'viewer'] as const

/** A member of the tenant. The person behind it signs in with an account, which may belong to several tenants. */
export const user = defineEntity({
  type: 'user',
  path: 'users',
  fields: {
    name: text({ required: true, max: 100, sort: true, filter: ['contains', 'startsWith'] }),
    email: email({
      fixed: true,
      filter: ['eq', 'in'],
      searched: 'B',
      describe: 'Null for a member who came with a table that had none',
    }),
    role: choice(roles, { default: 'member', filter: ['eq', 'in'] }),
    roleId: ref('role', {
      include: 'ownRole',
      describe: 'A role of the tenant’s own, which says what he may do instead of `role`',
    }),
    teamId: ref('team', { include: 'team' }),
    managerId: ref('user', { include: 'manager' }),
    timezone: timezone(),
    locale: locale(),
    active: flag({ default: true }),
  },
  namedBy: ['email', 'name', 'externalId'],
  title: (record) => String(record.name ?? ''),
  example: { name: 'Grace Hopper', email: 'grace@example.com', role: 'manager', timezone: 'America/New_York' },
})
