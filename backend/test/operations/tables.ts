import { Readable } from 'node:stream'
import { openFiles } from '../../adapters/files/index.ts'
import type { Cast } from '../cast.ts'
import { exportTable, importTable } from '../tables.ts'
import { at, type Call, type Examples, type House, nothing } from './call.ts'

/** What comes in and goes out as files. */
export const onTables: Examples = {
  downloadLinkedFile: linkedFile,
  createImport: async () => {
    const body = new FormData()
    body.set('resource', 'contacts')
    body.set('file', new Blob(['firstName\nAda\n']), 'people.csv')
    return { body }
  },
  listImport: nothing,
  getImport: imported,
  getImportErrors: imported,
  undoImport: imported,
  createExport: async () => ({ body: { resource: 'contacts', filters: { stage: 'prospect' }, format: 'csv' } }),
  listExport: nothing,
  getExport: async ({ alice }) => at((await exportTable(alice, { resource: 'contacts', format: 'jsonl' })).id),
}

async function imported({ alice }: Cast): Promise<Call> {
  return at((await importTable(alice, 'firstName\nAda\n', { resource: 'contacts' })).id)
}

async function linkedFile({ url, config }: House): Promise<Call> {
  const { files } = openFiles({ storageDir: config.storageDir, secret: config.jwtSecret, base: () => url })
  const { key } = await files.put('tests/linked.txt', Readable.from(['content']), 'text/plain')
  const link = await files.link(key, { name: 'linked.txt', contentType: 'text/plain', expiresIn: 60 })
  return { params: { token: link.slice(link.lastIndexOf('/') + 1) } }
}
