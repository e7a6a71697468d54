import { readFile } from 'node:fs/promises'
import { type Client, eventually } from './client.ts'

/** What is sent with a table; objects and lists go as JSON. */
export type Asked = Readonly<Record<string, unknown>>

/** Sends a table as a file. */
export async function sendTable(
  who: Client,
  content: string | Uint8Array,
  asked: Asked,
  headers = {},
  name = 'table.csv',
) {
  const form = new FormData()
  // Fields may come before the file and after it.
  for (const [field, value] of Object.entries(asked))
    form.set(field, typeof value === 'string' ? value : JSON.stringify(value))
  form.set('file', new Blob([Buffer.from(content)]), name)
  return who.raw('POST', '/imports', form, headers)
}

/** Imports a table and waits for its end; gives the import as it is then. */
export async function importTable(who: Client, content: string | Uint8Array, asked: Asked, name?: string) {
  const answer = await sendTable(who, content, asked, {}, name)
  if (answer.status !== 202) throw new Error(`the table was refused: ${JSON.stringify(answer.body)}`)
  return ended(who, answer.body.id)
}

/** Waits for the end of an import, or of its undoing. */
export const ended = (who: Client, id: string) =>
  eventually(async () => {
    const { body } = await who.get(`/imports/${id}`)
    return ['completed', 'failed', 'undone'].includes(body.status) ? body : undefined
  }, `the end of the import ${id}`)

/** Exports a list and waits for its file; gives the export and the bytes. */
export async function exportTable(who: Client, asked: Asked) {
  const answer = await who.post('/exports', asked)
  if (answer.status !== 202) throw new Error(`the export was refused: ${JSON.stringify(answer.body)}`)
  const done = await eventually(async () => {
    const { body } = await who.get(`/exports/${answer.body.id}`)
    return ['completed', 'failed'].includes(body.status) ? body : undefined
  }, `the end of the export ${answer.body.id}`)
  if (done.status === 'failed') throw new Error(`the export failed: ${done.failure}`)
  return { ...done, bytes: Buffer.from(await (await fetch(done.url)).arrayBuffer()) }
}

/** The report of an import's errors: line, column, value, reason. */
export async function errorsOf(who: Client, id: string): Promise<string[]> {
  const { body } = await who.get(`/imports/${id}/errors.csv`)
  return body.trim().split('\r\n').slice(1)
}

/** A table of the dataset, as it came. */
export const fixture = (name: string): Promise<Buffer> =>
  readFile(new URL(`../modules/imports/fixtures/${name}`, import.meta.url))
