import type { Readable } from 'node:stream'
import { detect } from 'chardet'

/** The encodings of a text table, by the names that callers may say. */
export const encodings = ['utf-8', 'utf-16le', 'utf-16be', 'windows-1252'] as const

export type Encoding = (typeof encodings)[number]

const sampled = 65_536

/**
 * Recognises the encoding of a text: its byte order mark says it; UTF-16 without one shows in its zeros, which would be
 * valid UTF-8; else it is UTF-8 when all of it is valid UTF-8; what is left is Windows-1252, unless it is surely one of
 * the multi-byte encodings that we do not read.
 */
export async function recogniseEncoding(bytes: Readable): Promise<Encoding | null> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const head: Buffer[] = []
  let size = 0
  let valid = true
  for await (const chunk of bytes) {
    if (size < sampled) head.push(chunk)
    size += chunk.length
    valid &&= isValid(decoder, chunk)
    if (size >= sampled && !valid) break
  }
  const sample = Buffer.concat(head).subarray(0, sampled)
  const marked = ofMark(sample) ?? ofZeros(sample)
  if (marked) return marked
  if (valid && isValid(decoder)) return 'utf-8'
  return /^(Shift_JIS|EUC-JP|EUC-KR|GB18030|Big5|ISO-2022-)/.test(detect(sample) ?? '') ? null : 'windows-1252'
}

/** What stands in a text for bytes that are no character of its encoding: a half of a pair, which no text has. */
const undecodable = '\uDFFF'

/** Whether all of a text could be read in its encoding. By characters (`u`): the half is also a part of whole ones. */
export const isDecoded = (text: string): boolean => !/\uDFFF/u.test(text)

/** Bytes as text, in pieces, without the byte order mark. */
export async function* decoded(bytes: Readable, encoding: Encoding): AsyncIterable<string> {
  const decode = decoder(encoding)
  for await (const chunk of bytes) yield decode(chunk)
  yield decode()
}

/** The first bytes of a text as text; the last character may be cut. */
export const decodedHead = (bytes: Buffer, encoding: Encoding): string => decoder(encoding)(bytes)

/** A decoder makes U+FFFD of what it cannot read, which may stand in a text by itself too: a second one tells them apart. */
function decoder(encoding: Encoding): (chunk?: Buffer) => string {
  const lenient = new TextDecoder(encoding)
  let strict = new TextDecoder(encoding, { fatal: true })
  return (chunk) => {
    const text = lenient.decode(chunk, { stream: chunk !== undefined })
    if (isValid(strict, chunk)) return text
    strict = new TextDecoder(encoding, { fatal: true })
    return text.replaceAll('\uFFFD', undecodable)
  }
}

function isValid(decoder: InstanceType<typeof TextDecoder>, chunk?: Buffer): boolean {
  try {
    decoder.decode(chunk, { stream: chunk !== undefined })
    return true
  } catch {
    return false
  }
}

function ofMark(sample: Buffer): Encoding | undefined {
  if (sample[0] === 0xef && sample[1] === 0xbb && sample[2] === 0xbf) return 'utf-8'
  if (sample[0] === 0xff && sample[1] === 0xfe) return 'utf-16le'
  if (sample[0] === 0xfe && sample[1] === 0xff) return 'utf-16be'
  return undefined
}

/** Half of the bytes of Latin text in UTF-16 are zeros, all at even or all at odd places. */
function ofZeros(sample: Buffer): Encoding | undefined {
  let [even, odd] = [0, 0]
  for (let place = 0; place < sample.length; place++) {
    if (sample[place] !== 0) continue
    if (place % 2 === 0) even++
    else odd++
  }
  const pairs = sample.length / 2
  if (odd > pairs * 0.4 && even < pairs * 0.1) return 'utf-16le'
  return even > pairs * 0.4 && odd < pairs * 0.1 ? 'utf-16be' : undefined
}
