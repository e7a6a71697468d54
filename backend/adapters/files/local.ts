import { createHash, randomBytes } from 'node:crypto'
import { mkdir, open, opendir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { checkKey, FileMissing, type FileState, type Files, isKey, type ListedFile } from './files.port.ts'
import type { Links } from './links.ts'

/** Files in a folder of this machine. Several machines need one folder that all of them see. */
export function localFiles(folder: string, links: Links): Files {
  const pathOf = (key: string): string => {
    checkKey(key)
    return join(folder, ...key.split('/'))
  }
  return {
    put: async (key, bytes) => {
      const path = pathOf(key)
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      // Under another name until it is whole and on the disk: who reads meanwhile, or after a crash, meets no half of it.
      const draft = draftOf(path)
      try {
        const written = await write(draft, bytes)
        await rename(draft, path)
        await syncFolder(dirname(path))
        return { key, ...written }
      } catch (error) {
        await rm(draft, { force: true })
        throw error
      }
    },
    get: async (key, range) => {
      const path = pathOf(key)
      const file = await open(path).catch((error: unknown) => {
        throw isMissing(error) ? new FileMissing('there is no such file') : error
      })
      return file.createReadStream(range ? { start: range.start, end: range.end } : {})
    },
    stat: async (key) => stateOf(pathOf(key)),
    delete: (key) => rm(pathOf(key), { force: true }),
    list: async function* (below) {
      // What somebody else has put there, and drafts, have names that are no keys.
      for await (const { path: _, ...file } of walk(pathOf(below), below)) if (isKey(file.key)) yield file
    },
    drafts: async function* (before) {
      for await (const { path, modifiedAt } of walk(folder, ''))
        if (isDraft(path) && modifiedAt < before) yield { drop: () => rm(path, { force: true }) }
    },
    link: async (key, options) => {
      checkKey(key)
      return links.sign(key, options)
    },
  }
}

const draftOf = (path: string): string => `${path}.${randomBytes(6).toString('hex')}~`
const isDraft = (path: string): boolean => /\.[0-9a-f]{12}~$/.test(path)

async function write(path: string, bytes: Readable): Promise<{ size: number; sha256: string }> {
  const hash = createHash('sha256')
  let size = 0
  const file = await open(path, 'wx', 0o600)
  try {
    for await (const chunk of bytes) {
      const part = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk)
      hash.update(part)
      size += part.length
      await file.writeFile(part)
    }
    await file.sync()
  } finally {
    await file.close()
  }
  return { size, sha256: hash.digest('hex') }
}

/** The new name must be on the disk too. Windows cannot open a folder, and writes names by itself. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function stateOf(path: string): Promise<FileState | null> {
  try {
    const found = await stat(path)
    return found.isFile() ? { size: found.size, modifiedAt: found.mtime } : null
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

/** The files of a folder one after the other, however many they are. */
async function* walk(folder: string, key: string): AsyncGenerator<ListedFile & { readonly path: string }> {
  const entries = await opendir(folder).catch((error: unknown) => {
    if (isMissing(error)) return []
    throw error
  })
  for await (const { name } of entries) {
    const [path, below] = [join(folder, name), key === '' ? name : `${key}/${name}`]
    const state = await stateOf(path)
    if (state) yield { ...state, key: below, path }
    else yield* walk(path, below)
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && ['ENOENT', 'ENOTDIR', 'EISDIR'].includes(String(error.code))
