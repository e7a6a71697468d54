import { z } from 'zod'
import { apart, sight } from '../../kernel/sight.ts'

const name = z.string().min(1).max(300)
const scalar = z.union([z.string().max(10_000), z.number(), z.boolean()])

/** What an export is asked for with. */
export const exportRequest = z.strictObject({
  resource: z.string().min(1).max(64),
  filters: z
    .record(name, z.union([scalar, z.array(scalar).min(1).max(100), z.record(z.string().max(20), scalar)]))
    .default({})
    .describe('As the parameters of the list: `{"stage": "customer", "leadScore[gte]": 50}`'),
  sort: z.string().min(1).max(300).optional(),
  columns: z.array(name).min(1).max(300).optional(),
  format: z.enum(['csv', 'xlsx', 'jsonl']),
})

export type ExportRequest = z.output<typeof exportRequest>

/** An export as its job reads it. */
export interface ExportRow {
  readonly id: string
  readonly status: 'queued' | 'running' | 'completed' | 'failed'
  readonly resource: string
  readonly format: 'csv' | 'xlsx' | 'jsonl'
  readonly options: Pick<ExportRequest, 'filters' | 'sort' | 'columns'>
  readonly file: { readonly key: string; readonly size: number; readonly name: string } | null
  readonly createdById: string
}

const count = z.int().min(0)
const time = z.iso.datetime({ precision: 3 })

/** An export as the API shows it. */
export const exportSchema = z
  .object({
    id: z.uuid(),
    status: z.enum(['queued', 'running', 'completed', 'failed']),
    resource: z.string(),
    format: z.enum(['csv', 'xlsx', 'jsonl']),
    filters: z.record(z.string(), z.unknown()),
    sort: z.string().nullable(),
    columns: z.array(z.string()).nullable(),
    total: count.nullable(),
    processed: count,
    size: count.nullable(),
    /** A link with which anybody may read the file until it expires; a new one at each look. */
    url: z.string().nullable(),
    expiresAt: time.nullable(),
    failure: z.string().nullable(),
    createdById: z.uuid(),
    createdAt: time,
    updatedAt: time,
    completedAt: time.nullable(),
  })
  .meta({ id: 'Export' })
  // It tells what was asked for; the file holds what its maker saw.
  .register(sight, apart)

/** The filters as the query of a list. */
export function searchOf({ filters, sort }: ExportRow['options']): URLSearchParams {
  const search = new URLSearchParams()
  for (const [key, value] of Object.entries(filters)) {
    if (Array.isArray(value)) search.append(key.includes('[') ? key : `${key}[in]`, value.join(','))
    else if (typeof value === 'object')
      for (const [operator, one] of Object.entries(value)) search.append(`${key}[${operator}]`, String(one))
    else search.append(key, String(value))
  }
  if (sort !== undefined) search.set('sort', sort)
  return search
}
