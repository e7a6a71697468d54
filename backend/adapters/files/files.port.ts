import type { Readable } from 'node:stream'

/** A file that has been kept. */
export interface KeptFile {
  readonly key: string
  readonly size: number
  /** Of its bytes, in hex. */
  readonly sha256: string
}

/** What is known of a file without reading it. */
export interface FileState {
  readonly size: number
  readonly modifiedAt: Date
}

/** A file of a folder. */
export interface ListedFile extends FileState {
  readonly key: string
}

/** A file that never became whole. */
export interface Draft {
  drop(): Promise<void>
}

/** A part of a file, in bytes from 0; both ends belong to it. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** What a link gives its bearer. */
export interface LinkOptions {
  /** What the file is called when it is saved. */
  readonly name: string
  readonly contentType: string
  /** Seconds from now, 1 to 604,800. */
  readonly expiresIn: number
}

/**
 * Where files are kept. A key is made by us, of segments of `a-z 0-9 . _ -` with slashes between, as
 * `exports/<tenant>/<id>.csv`; it is never what a user typed. A file is there as a whole or not at all.
 */
export interface Files {
  /** Keeps what a stream gives under a key; what stood there before is replaced. A stream that fails keeps nothing. */
  put(key: string, bytes: Readable, contentType: string): Promise<KeptFile>
  /** Throws {@link FileMissing} before the first byte when it is not there. */
  get(key: string, range?: ByteRange): Promise<Readable>
  stat(key: string): Promise<FileState | null>
  /** Deletes it; what is not there is deleted already. */
  delete(key: string): Promise<void>
  /** The files in a folder and below it, as `imports`, in no order. Of what comes or goes meanwhile it says nothing. */
  list(folder: string): AsyncIterable<ListedFile>
  /** What was begun and never became a file, as the process that wrote it died, and was last touched before this time. */
  drafts(before: Date): AsyncIterable<Draft>
  /** A link with which anybody may read it for a while, always as an attachment; with a range when he asks for one. */
  link(key: string, options: LinkOptions): Promise<string>
}

/** There is no file under a key. */
export class FileMissing extends Error {
  override readonly name = 'FileMissing'
}

const segment = /^[a-z0-9][a-z0-9._-]{0,127}$/

/** Throws on a key that could lead out of the store, which only a defect of ours can make. */
export function checkKey(key: string): void {
  if (!isKey(key)) throw new Error('a key of a file is made of lower-case segments')
}

/** Whether a file can have this key. */
export const isKey = (key: string): boolean =>
  key.length <= 512 && key.split('/').every((part) => segment.test(part) && !part.includes('..'))
