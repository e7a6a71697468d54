import { join } from 'node:path'
import type { Route } from '../../kernel/http/route.ts'
import type { Files } from './files.port.ts'
import { createLinks } from './links.ts'
import { localFiles } from './local.ts'
import { servedFiles } from './served.ts'

export { type ByteRange, FileMissing, type FileState, type Files, type KeptFile } from './files.port.ts'

/** The store that was chosen, and the routes with which it answers its own links. */
export interface FileStore {
  readonly name: 'local'
  readonly files: Files
  readonly routes: readonly Route[]
}

/** Opens the store of files: a folder under `STORAGE_DIR`. `base` is how browsers reach this installation. */
export function openFiles(options: { storageDir: string; secret: string; base: () => string }): FileStore {
  const links = createLinks(options.secret, options.base)
  const files = localFiles(join(options.storageDir, 'files'), links)
  return { name: 'local', files, routes: [servedFiles(files, links)] }
}
