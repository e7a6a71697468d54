import type { Readable } from 'node:stream'
import sql from 'sql-template-tag'
import type { z } from 'zod'
import type { Files } from '../../adapters/files/files.port.ts'
import { type Ctx, mayNot } from '../../kernel/context.ts'
import type { Database, Tx } from '../../kernel/db/database.ts'
import type { CustomFields } from '../../kernel/entity/custom.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import type { Registry } from '../../kernel/entity/registry.ts'
import { invalidMember, notFound, rule } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import { refuseLasting } from '../../kernel/http/stand-in.ts'
import { newId } from '../../kernel/ids.ts'
import { findImport } from './import.queries.ts'
import type { ImportFile, ImportOptions, importFields, Reading } from './import.ts'
import { planOf } from './mapping.ts'
import { openTable, recogniseFile } from './recognise.ts'
import { TableError } from './table.ts'
import { targetsOf } from './target.ts'

/** What asking for an import needs. */
export interface RequestDeps {
  readonly db: Database
  readonly files: Files
  readonly registry: Registry
  readonly customFields: CustomFields
  /** The nouns whose records may come by a table. */
  readonly importable: ReadonlySet<string>
}

/** What was asked for, held against the file: everything that can be wrong with the whole of it is told now. */
export interface CheckedRequest {
  readonly resource: string
  readonly options: ImportOptions
  readonly reading: Reading
  readonly file: ImportFile
}

/** Checks a request before it is kept; 400 names what does not fit, 403 what the caller may not make. */
export async function checkRequest(
  { files, registry, customFields, importable }: RequestDeps,
  ctx: Ctx,
  fields: z.output<typeof importFields>,
  file: ImportFile,
): Promise<CheckedRequest> {
  const { resource, mapping: said, ...options } = fields
  const entity = registry.byPath(resource)
  if (!entity || !importable.has(entity.type))
    throw invalidMember(
      'resource',
      `must be one of ${[...importable].map((type) => registry.entities.get(type)?.path).join(', ')}`,
    )
  refuse(ctx, entity, options.onDuplicate)
  // The work goes on after the visit of an operator.
  if (entity.type === 'user' || options.createMissing?.includes('user')) refuseLasting(ctx)
  const open = (): Promise<Readable> => files.get(file.key)
  try {
    const reading = await recogniseFile(open, file.name, options)
    const { columns } = await openTable(open, reading)
    refuseHeader(columns)
    const custom = entity.all.customFields ? await customFields.of(ctx, entity.type, keysOf(said)) : []
    const { mapping } = planOf(entity, targetsOf(entity, registry, custom, ctx.rights), columns, {
      mapping: said,
      defaults: options.defaults ?? {},
      matchBy: options.matchBy ?? [],
      onDuplicate: options.onDuplicate,
    })
    return { resource, options: { ...options, mapping }, reading, file }
  } catch (error) {
    throw error instanceof TableError ? invalidMember('file', error.message) : error
  }
}

function refuse(ctx: Ctx, entity: Entity, onDuplicate: string): void {
  if (ctx.rights.scope(entity.type, 'create') === 'none') throw mayNot(ctx, 'create', entity.type)
  if (onDuplicate === 'update' && ctx.rights.scope(entity.type, 'update') === 'none')
    throw mayNot(ctx, 'update', entity.type)
}

function refuseHeader(columns: readonly string[]): void {
  if (columns.every((column) => column === '')) throw new TableError('The first row must hold the names of the columns')
  const twice = columns.find((column, index) => column !== '' && columns.indexOf(column) !== index)
  if (twice !== undefined) throw new TableError(`Two columns are called ${twice}`)
}

const keysOf = (mapping: z.output<typeof importFields>['mapping']): string[] =>
  Object.values(mapping ?? {})
    .flat()
    .flatMap((path) => (path.startsWith('cf.') ? [path.slice(3)] : []))

/** Keeps a request with the event that starts its work. */
export async function requestImport(tx: Tx, { resource, options, reading, file }: CheckedRequest): Promise<string> {
  const { ctx } = tx
  const id = newId()
  const { name, size } = file
  await tx.query(sql`
    insert into imports (tenant_id, id, created_by_id, resource, options, reading, file, operation_id, request_id)
    values (${ctx.tenantId}, ${id}, ${ctx.actor.id}, ${resource},
            ${JSON.stringify({ ...options, fileName: name, fileSize: size })}, ${JSON.stringify(reading)},
            ${JSON.stringify(file)}, ${ctx.operationId}, ${ctx.requestId})`)
  const record = { name, resource, dryRun: options.dryRun, createdById: ctx.actor.id }
  await appendEvents(tx, [{ name: 'import.requested', type: 'import', recordId: id, record, data: { importId: id } }])
  return id
}

/** Imports up to this size are undone while one waits. */
const undoneAtOnce = 200

/** Begins to undo an import; gives whether it is work for a job. Undone already is undone. */
export async function requestUndo(tx: Tx, id: string): Promise<'done' | 'small' | 'large'> {
  const found = await findImport(tx, id)
  if (!found) throw notFound()
  const { status, options, file } = found
  if (status === 'undone') return 'done'
  if (status === 'undoing') return 'large'
  if (status === 'queued' || status === 'running') throw rule('IMPORT_NOT_ENDED', 'The import has not ended yet')
  if (options.dryRun) throw rule('NOTHING_TO_UNDO', 'A dry run has written nothing')
  if (!file) throw rule('IMPORT_TOO_OLD', 'What an import did is kept for 7 days')
  await tx.query(sql`
    update imports set status = 'undoing', updated_at = now() where tenant_id = ${tx.ctx.tenantId} and id = ${id}`)
  const large = found.effects > undoneAtOnce
  const record = { name: file.name, resource: found.resource, createdById: found.createdById }
  await appendEvents(tx, [
    { name: 'import.undo_requested', type: 'import', recordId: id, record, data: { importId: id, large } },
  ])
  return large ? 'large' : 'small'
}
