import { z } from 'zod'
import { encodings } from './encoding.ts'
import type { FileStyle } from './recognise.ts'
import type { Survey } from './survey.ts'

/** A member of a form that holds JSON. */
const json = <T extends z.ZodType>(schema: T) =>
  z
    .string()
    .transform((text, ctx): unknown => {
      try {
        const value: unknown = JSON.parse(text)
        for (const issue of unkeepable(value)) ctx.addIssue({ code: 'custom', ...issue })
        return value
      } catch {
        ctx.addIssue({ code: 'custom', message: 'must be JSON' })
        return z.NEVER
      }
    })
    .pipe(schema)

const path = z.string().min(1).max(300)

interface Issue {
  readonly path: (string | number)[]
  readonly message: string
}

/** What would be dropped without a word (`__proto__`), or what the database cannot hold, and where. */
function unkeepable(value: unknown, path: (string | number)[] = []): Issue[] {
  if (path.length > deepest) return [{ path, message: 'must not be nested so deeply' }]
  if (typeof value === 'string') {
    const message = textProblem(value)
    return message === null ? [] : [{ path, message }]
  }
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, item]) => {
    const inside = [...path, Array.isArray(value) ? Number(key) : key]
    const message = key === '__proto__' ? 'cannot be named here; call it otherwise' : textProblem(key)
    return message === null ? unkeepable(item, inside) : [{ path: inside, message }]
  })
}

const deepest = 20

function textProblem(text: string): string | null {
  if (text.includes('\0')) return 'must not contain a NUL character'
  return text.isWellFormed() ? null : 'must be well-formed Unicode'
}

/** What is sent with the file of an import. */
export const importFields = z.strictObject({
  resource: z.string().min(1).max(64),
  mapping: json(z.record(path, z.union([path, z.array(path).min(1).max(10)]))).optional(),
  defaults: json(z.record(path, z.unknown())).optional(),
  matchBy: json(z.array(path).max(5)).optional(),
  createMissing: json(z.array(z.enum(['company', 'contact', 'user', 'team', 'product'])).max(5)).optional(),
  onDuplicate: z.enum(['create', 'skip', 'update']).default('create'),
  dryRun: z
    .enum(['true', 'false'])
    .default('false')
    .transform((text) => text === 'true'),
  encoding: z
    .string()
    .transform((name) => aliases[name.toLowerCase()] ?? name.toLowerCase())
    .pipe(z.enum(encodings, { error: `must be one of ${encodings.join(', ')}` }))
    .optional(),
  delimiter: z
    .enum([',', ';', '\t', '|', 'tab', 'comma', 'semicolon', 'pipe'])
    .transform((said) => ({ tab: '\t', comma: ',', semicolon: ';', pipe: '|' })[said as string] ?? said)
    .optional(),
  dateOrder: z.enum(['dmy', 'mdy', 'ymd']).optional(),
  decimal: z.enum(['.', ',']).optional(),
})

const aliases: Readonly<Record<string, (typeof encodings)[number]>> = {
  utf8: 'utf-8',
  'utf-16': 'utf-16le',
  utf16: 'utf-16le',
  utf16le: 'utf-16le',
  utf16be: 'utf-16be',
  cp1252: 'windows-1252',
  windows1252: 'windows-1252',
  'iso-8859-1': 'windows-1252',
  latin1: 'windows-1252',
}

/** What was asked for, complete. */
export type ImportOptions = Omit<z.output<typeof importFields>, 'resource' | 'mapping'> & {
  /** As it was said, or as it was recognised by the names of the columns. */
  readonly mapping: Readonly<Record<string, string | readonly string[]>>
}

/** What was recognised of the file; the survey is there when the whole of it has been walked over. */
export interface Reading extends FileStyle {
  readonly survey?: Survey
}

/** Where the file is kept until it is purged. */
export interface ImportFile {
  readonly key: string
  readonly name: string
  readonly size: number
}

/** An import as its job reads it. */
export interface ImportRow {
  readonly id: string
  readonly status: 'queued' | 'running' | 'completed' | 'failed' | 'undoing' | 'undone'
  readonly resource: string
  readonly options: ImportOptions
  readonly reading: Reading
  readonly file: ImportFile | null
  readonly phase: 'rows' | 'links'
  readonly position: number
  readonly effects: number
  readonly total: number | null
  readonly createdById: string
  readonly operationId: string
  readonly requestId: string
}

const count = z.int().min(0)

/** An import as it is kept; what of it is shown to whom, the routes say. */
export const importSchema = z.object({
  id: z.uuid(),
  status: z.enum(['queued', 'running', 'completed', 'failed', 'undone']),
  resource: z.string(),
  dryRun: z.boolean(),
  file: z.object({ name: z.string(), size: count, format: z.enum(['csv', 'xlsx', 'jsonl']) }),
  options: z.record(z.string(), z.unknown()),
  /** What was recognised. */
  reading: z.object({
    encoding: z.string(),
    delimiter: z.string().nullable(),
    columns: z.record(z.string(), z.object({ dateOrder: z.string().optional(), decimal: z.string().optional() })),
  }),
  mapping: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
  total: count.nullable(),
  processed: count,
  created: count,
  updated: count,
  skipped: count,
  failed: count,
  percent: z.int().min(0).max(100),
  made: z.record(z.string(), count),
  preview: z
    .array(z.object({ line: z.int(), action: z.enum(['create', 'update', 'skip', 'fail']), record: z.unknown() }))
    .nullable(),
  failure: z.string().nullable(),
  undo: z
    .object({
      deleted: count,
      restored: count,
      refused: count,
      refusals: z.array(z.object({ type: z.string(), id: z.uuid(), reason: z.string() })),
    })
    .nullable(),
  operationId: z.uuid(),
  createdById: z.uuid(),
  createdAt: z.iso.datetime({ precision: 3 }),
  updatedAt: z.iso.datetime({ precision: 3 }),
  completedAt: z.iso.datetime({ precision: 3 }).nullable(),
})
