import { z } from 'zod'
import { forbidden, notFound, Problem } from '../../kernel/errors.ts'
import { type Answer, Bytes, publicRoute, type Route } from '../../kernel/http/route.ts'
import { type ByteRange, FileMissing, type FileState, type Files } from './files.port.ts'
import type { Linked, Links } from './links.ts'

/** The route that answers the links of the local store. */
export function servedFiles(files: Files, links: Links): Route {
  return publicRoute({
    method: 'get',
    path: '/files/{token}',
    outside: true,
    operationId: 'downloadLinkedFile',
    summary: 'The file of a signed link',
    description: 'Always an attachment. One range of bytes is answered, several are answered with the whole file.',
    tag: 'files',
    params: z.object({ token: z.string().max(4_096) }),
    responses: {
      200: { description: 'The file', schema: null, type: '*/*', headers: ['Content-Disposition', 'Accept-Ranges'] },
      206: { description: 'A part of it', schema: null, type: '*/*', headers: ['Content-Range'] },
    },
    problems: [403, 404, 416],
    handle: async (_caller, { params, header }) => {
      const linked = links.read(params.token)
      if (linked === 'forged') throw notFound()
      if (linked === 'expired') throw forbidden('The link has expired; ask for a new one')
      const state = await files.stat(linked.k)
      if (!state) throw notFound()
      const range = rangeOf(header('Range'), header('If-Range'), state)
      return answerOf(files, linked, state, range)
    },
  })
}

async function answerOf(files: Files, linked: Linked, state: FileState, range: ByteRange | null): Promise<Answer> {
  const stream = await files.get(linked.k, range ?? undefined).catch((error: unknown) => {
    throw error instanceof FileMissing ? notFound() : error
  })
  const length = range ? range.end - range.start + 1 : state.size
  return {
    status: range ? 206 : 200,
    body: new Bytes(stream),
    headers: {
      'Content-Type': linked.t,
      'Content-Length': String(length),
      'Content-Disposition': disposition(linked.n),
      'Accept-Ranges': 'bytes',
      ETag: etagOf(state),
      // A length and ranges stand for the bytes as they are: nobody on the way may compress them.
      'Cache-Control': 'private, no-transform',
      'Content-Security-Policy': "default-src 'none'; sandbox",
      'X-Content-Type-Options': 'nosniff',
      ...(range ? { 'Content-Range': `bytes ${range.start}-${range.end}/${state.size}` } : {}),
    },
  }
}

const etagOf = ({ size, modifiedAt }: FileState): string =>
  `"${size.toString(36)}-${modifiedAt.getTime().toString(36)}"`

/** RFC 9110 section 14: what is no range of bytes, or several, is answered with the whole. */
function rangeOf(header: string | undefined, ifRange: string | undefined, state: FileState): ByteRange | null {
  const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? []
  if ((from === '' && to === '') || (ifRange !== undefined && ifRange !== etagOf(state))) return null
  const last = state.size - 1
  const start = from === '' ? Math.max(state.size - Number(to), 0) : Number(from)
  const end = from === '' || to === '' ? last : Math.min(Number(to), last)
  if (from !== '' && to !== '' && Number(to) < Number(from)) return null
  if (start > last || (from === '' && Number(to) === 0)) {
    const headers = { 'Content-Range': `bytes */${state.size}` }
    throw new Problem(416, 'RANGE_NOT_SATISFIABLE', `The file has ${state.size} bytes`, { headers })
  }
  return { start, end }
}

/** RFC 6266: the name in ASCII for old readers, and as it is. */
function disposition(name: string): string {
  const plain = name.replaceAll(/[^\x20-\x7e]|["\\%]/g, '_')
  const encoded = encodeURIComponent(name.toWellFormed()).replaceAll(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`
}
