import { createHash, type Hash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type Readable, Transform } from 'node:stream'
import { Busboy, type BusboyInstance } from '@fastify/busboy'
import type { ZodType, z } from 'zod'
import { invalidMember, Problem } from '../errors.ts'
import { parsePart } from './body.ts'

/** A `multipart/form-data` body: one file, which is streamed, and text fields. */
export interface Form<F extends ZodType = ZodType> {
  /** The name of the part that holds the file. */
  readonly file: string
  /** The text fields, each a string. */
  readonly fields: F
  readonly maxBytes: number
}

/** The file of a form while it comes in. It must be read to its end. */
export interface SentFile {
  /** As the sender's system called it, without its folders. */
  readonly name: string
  /** What the sender says that it is. */
  readonly contentType: string
  readonly bytes: Readable
}

/** A form that has come in. */
export interface ReadForm<F, T> {
  readonly fields: F
  /** What became of the file. */
  readonly kept: T
  /** Of what was sent, whatever stood between the parts: by it a repetition is recognised. */
  readonly digest: Buffer
}

/**
 * Reads a form as it comes in: the file goes to `keep`, and nothing of it is held in memory. Without a file, with two,
 * or with one that is too long the request is refused, and what `keep` gave is handed to `drop`.
 */
export async function readForm<F extends ZodType, T>(
  request: IncomingMessage,
  form: Form<F>,
  keep: (file: SentFile) => Promise<T>,
  drop: (kept: T) => Promise<void>,
): Promise<ReadForm<z.output<F>, T>> {
  const parser = parserOf(request, form)
  const texts = new Map<string, string>()
  const hash = createHash('sha256')
  const keeping: Keeping<T>[] = []
  let refused: Problem | undefined
  const refuse = (problem: Problem) => {
    refused ??= problem
  }
  parser.on('field', (name, value, _nameCut, valueCut) => {
    if (texts.has(name)) refuse(invalidMember(name, 'must be given once', 'duplicate'))
    if (valueCut) refuse(invalidMember(name, `must have at most ${maxField} bytes`, 'too_big'))
    texts.set(name, value)
  })
  parser.on('file', (name, source, fileName, _encoding, contentType) => {
    if (name !== form.file || keeping.length > 0) {
      refuse(invalidMember(name, name === form.file ? 'must be one file' : 'is not a file of this request'))
      return void source.resume()
    }
    source.on('limit', () => refuse(tooLong(form)))
    const bytes = hashing(hash)
    source.on('error', (error) => bytes.destroy(error))
    // Who keeps it may not listen yet; he is told when he reads.
    bytes.on('error', () => {})
    keeping.push({ bytes, kept: keep({ name: fileName ?? '', contentType, bytes: source.pipe(bytes) }) })
  })
  try {
    await ended(request, parser, keeping)
    const [first] = keeping
    if (refused) throw refused
    if (!first) throw invalidMember(form.file, 'must be the file', 'required')
    const fields = parsePart(form.fields, Object.fromEntries(texts)) as z.output<F>
    const sorted = JSON.stringify([...texts].sort(([a], [b]) => (a < b ? -1 : 1)))
    return { fields, kept: await first.kept, digest: hash.update(sorted).digest() }
  } catch (error) {
    for (const { kept } of keeping) await kept.then(drop, () => {})
    throw refused ?? error
  }
}

interface Keeping<T> {
  readonly bytes: Readable
  readonly kept: Promise<T>
}

const maxField = 262_144

const tooLong = ({ maxBytes }: Form): Problem =>
  new Problem(413, 'PAYLOAD_TOO_LARGE', `The file must have at most ${maxBytes / 1_048_576} MiB`)

function parserOf(request: IncomingMessage, form: Form): BusboyInstance {
  const type = request.headers['content-type'] ?? ''
  if (!/^multipart\/form-data\s*;.*boundary=/i.test(type))
    throw new Problem(415, 'UNSUPPORTED_MEDIA_TYPE', 'Send the body as multipart/form-data')
  const limits = { files: 2, fields: 50, fieldSize: maxField, fileSize: form.maxBytes, parts: 60 }
  return new Busboy({ headers: { ...request.headers, 'content-type': type }, limits })
}

const hashing = (hash: Hash): Transform =>
  new Transform({
    transform: (chunk, _encoding, done) => {
      hash.update(chunk)
      done(null, chunk)
    },
  })

/** Everything has been read and kept; or the sender left, or what he sent is no form. */
function ended(
  request: IncomingMessage,
  parser: BusboyInstance,
  keeping: readonly Keeping<unknown>[],
): Promise<unknown> {
  const malformed = (cause?: unknown) =>
    new Problem(400, 'MALFORMED_FORM', 'The body is not a whole multipart/form-data', { cause })
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      request.unpipe(parser)
      request.resume()
      for (const { bytes } of keeping) bytes.destroy(error)
      reject(error)
    }
    request.once('aborted', () => fail(malformed()))
    request.once('error', fail)
    parser.once('error', (error) => fail(malformed(error)))
    // What cannot be kept (a full disk) ends it at once, or the sender would go on for nothing.
    parser.on('file', () => keeping.at(-1)?.kept.catch(fail))
    parser.once('finish', () => Promise.all(keeping.map(({ kept }) => kept)).then(resolve, fail))
    request.pipe(parser)
  })
}
