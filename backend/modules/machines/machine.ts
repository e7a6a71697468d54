import { z } from 'zod'
import { filledSchema } from '../../kernel/entity/fields.ts'
import { isAddressRange } from './addresses.ts'
import { scopeSchema } from './scopes.ts'

/** What a program is to the tenant: a key that somebody made for himself, or an account of its own. */
export type MachineKind = 'api_key' | 'service_account'

/** What differs between the two, as the API shows them. */
export interface KindOfMachine {
  readonly kind: MachineKind
  readonly path: string
  readonly tag: string
  /** In operation ids: `listApiKey`. */
  readonly name: string
  readonly spoken: string
  /** The member of an answer that holds the secret, once. */
  readonly secretMember: 'key' | 'clientSecret'
}

/** API keys and service accounts. */
export const machineKinds: readonly KindOfMachine[] = [
  {
    kind: 'api_key',
    path: '/api-keys',
    tag: 'api-keys',
    name: 'ApiKey',
    spoken: 'API key',
    secretMember: 'key',
  },
  {
    kind: 'service_account',
    path: '/service-accounts',
    tag: 'service-accounts',
    name: 'ServiceAccount',
    spoken: 'service account',
    secretMember: 'clientSecret',
  },
]

const instant = z.iso.datetime({ precision: 3 })

/** A machine as lists show it: never with a secret. */
export const machineSchema = z.object({
  id: z.uuid(),
  name: z.string(),
  prefix: z.string().meta({ description: 'The beginning of the newest secret, by which it is recognised' }),
  scopes: z.array(z.string()),
  allowedAddresses: z.array(z.string()).meta({ description: 'From where it is good; empty: from everywhere' }),
  expiresAt: instant.nullable(),
  rotating: z
    .array(z.object({ prefix: z.string(), expiresAt: instant }))
    .meta({ description: 'Older secrets that are still good for a while' }),
  lastUsedAt: instant.nullable(),
  lastUsedAddress: z.string().nullable(),
  createdAt: instant,
  createdById: z.uuid(),
})

/** An API key or a service account as the API shows it, without its secret. */
export type Machine = z.output<typeof machineSchema>

/** What a machine is made of. */
export const newMachineSchema = z.strictObject({
  name: filledSchema(100),
  scopes: z
    .array(scopeSchema)
    .min(1, 'must name at least one scope')
    .max(100)
    .meta({
      description: 'What it may: `update` and `delete` hold for what it may `read` too',
      examples: [['contact:read', 'deal:*']],
    }),
  expiresAt: z.iso
    .datetime({ offset: true })
    .refine((value) => Date.parse(value) > Date.now(), { message: 'must be a time to come' })
    .nullable()
    .optional(),
  allowedAddresses: z
    .array(
      z.string().refine(isAddressRange, { message: 'must be an address or a range as 192.0.2.0/24 or 2001:db8::/32' }),
    )
    .max(50)
    .optional(),
})

/** What is asked of a new one. */
export type NewMachine = z.output<typeof newMachineSchema>

/** How a machine's secret is changed: the old one stays good for the overlap. */
export const rotationSchema = z
  .strictObject({ overlapHours: z.number().min(0).max(720).optional() })
  .optional()
  .meta({ description: 'How long the secret of now stays good; 24 hours when absent, 0: it ends at once' })
