import { crc32, createDeflateRaw, type DeflateRaw } from 'node:zlib'

/** A workbook cannot hold this; the message is for who asked for it. */
export class SheetError extends Error {
  override readonly name = 'SheetError'
}

const mostRows = 1_048_576
const longestText = 32_767

/**
 * A workbook of one sheet, written as its rows come: the libraries want all of them at once. Its texts stand in their
 * cells, so nothing has to be known before.
 */
export async function* workbook(rows: AsyncIterable<readonly (readonly unknown[])[]>): AsyncIterable<Buffer> {
  const entries: Entry[] = []
  let offset = 0
  for (const [name, content] of Object.entries(fixed)) {
    const entry = yield* packed(name, once(content), offset)
    entries.push(entry)
    offset += entry.size
  }
  entries.push(yield* packed('xl/worksheets/sheet1.xml', sheetXml(rows), offset))
  yield directory(entries)
}

async function* once(text: string): AsyncIterable<string> {
  yield text
}

const head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
const office = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'
const packages = 'http://schemas.openxmlformats.org/package/2006'
const main = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'
const ofSheet = 'application/vnd.openxmlformats-officedocument.spreadsheetml'

const fixed: Readonly<Record<string, string>> = {
  '[Content_Types].xml': `${head}<Types xmlns="${packages}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="${ofSheet}.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="${ofSheet}.worksheet+xml"/></Types>`,
  '_rels/.rels': `${head}<Relationships xmlns="${packages}/relationships"><Relationship Id="rId1" Type="${office}/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
  'xl/workbook.xml': `${head}<workbook xmlns="${main}" xmlns:r="${office}"><sheets><sheet name="Export" sheetId="1" r:id="rId1"/></sheets></workbook>`,
  'xl/_rels/workbook.xml.rels': `${head}<Relationships xmlns="${packages}/relationships"><Relationship Id="rId1" Type="${office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`,
}

async function* sheetXml(batches: AsyncIterable<readonly (readonly unknown[])[]>): AsyncIterable<string> {
  yield `${head}<worksheet xmlns="${main}"><sheetData>`
  let row = 0
  for await (const batch of batches) {
    let xml = ''
    for (const cells of batch) {
      if (++row > mostRows) throw new SheetError(`A workbook holds ${mostRows} rows; narrow the filters or take CSV`)
      xml += `<row r="${row}">${cells.map((cell, column) => cellXml(cell, `${letters(column)}${row}`)).join('')}</row>`
    }
    yield xml
  }
  yield '</sheetData></worksheet>'
}

function cellXml(cell: unknown, place: string): string {
  if (cell === '' || cell === null || cell === undefined) return ''
  if (typeof cell === 'number') return `<c r="${place}"><v>${cell}</v></c>`
  if (typeof cell === 'boolean') return `<c r="${place}" t="b"><v>${cell ? 1 : 0}</v></c>`
  const text = String(cell)
  if (text.length > longestText)
    throw new SheetError(`A cell of a workbook holds ${longestText} characters, and one has more; take CSV`)
  return `<c r="${place}" t="inlineStr"><is><t xml:space="preserve">${escaped(text)}</t></is></c>`
}

/** What XML cannot hold or would change is written as `_xHHHH_`, as Excel does, and so is what looks like that. */
const escaped = (text: string): string =>
  text
    .toWellFormed()
    .replaceAll(/_(?=x[0-9A-Fa-f]{4}_)/g, '_x005F_')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    .replaceAll(/[\x00-\x08\x0b-\x1f\ufffe\uffff]/g, (character) => {
      return `_x${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}_`
    })
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')

const letters = (column: number): string =>
  (column >= 26 ? letters(Math.floor(column / 26) - 1) : '') + String.fromCharCode(65 + (column % 26))

interface Entry {
  readonly name: string
  readonly crc: number
  readonly packedSize: number
  readonly plainSize: number
  readonly offset: number
  /** With its header and its descriptor. */
  readonly size: number
}

/** One file of the archive; its sizes stand behind it, as nobody knows them before. */
async function* packed(name: string, content: AsyncIterable<string>, offset: number): AsyncGenerator<Buffer, Entry> {
  const title = Buffer.from(name)
  const header = Buffer.alloc(30)
  header.writeUInt32LE(0x04034b50, 0)
  header.writeUInt16LE(20, 4)
  header.writeUInt16LE(0x0808, 6)
  header.writeUInt16LE(8, 8)
  header.writeUInt32LE(0x00210000, 10)
  header.writeUInt16LE(title.length, 26)
  yield Buffer.concat([header, title])
  const deflate = createDeflateRaw()
  const plain = { crc: 0, size: 0 }
  const feeding = feed(deflate, content, plain)
  let packedSize = 0
  try {
    for await (const chunk of deflate as AsyncIterable<Buffer>) {
      packedSize += chunk.length
      yield chunk
    }
  } finally {
    await feeding
  }
  if (packedSize > 0xffff_ffff || plain.size > 0xffff_ffff) throw new SheetError('The workbook is too large; take CSV')
  const descriptor = Buffer.alloc(16)
  descriptor.writeUInt32LE(0x08074b50, 0)
  descriptor.writeUInt32LE(plain.crc, 4)
  descriptor.writeUInt32LE(packedSize, 8)
  descriptor.writeUInt32LE(plain.size, 12)
  yield descriptor
  const size = header.length + title.length + packedSize + descriptor.length
  return { name, crc: plain.crc, packedSize, plainSize: plain.size, offset, size }
}

/** Gives text to the deflater as fast as it takes it. What fails there ends the reading of it. */
async function feed(
  deflate: DeflateRaw,
  content: AsyncIterable<string>,
  plain: { crc: number; size: number },
): Promise<void> {
  try {
    for await (const text of content) {
      if (deflate.destroyed) return
      const bytes = Buffer.from(text)
      plain.crc = crc32(bytes, plain.crc)
      plain.size += bytes.length
      if (!deflate.write(bytes)) await new Promise<void>((resolve) => awaitRoom(deflate, resolve))
    }
    deflate.end()
  } catch (error) {
    deflate.destroy(error instanceof Error ? error : new Error(String(error)))
  }
}

function awaitRoom(deflate: DeflateRaw, resolve: () => void): void {
  const done = (): void => {
    deflate.off('drain', done)
    deflate.off('close', done)
    resolve()
  }
  deflate.on('drain', done)
  deflate.on('close', done)
}

function directory(entries: readonly Entry[]): Buffer {
  const records = entries.map(({ name, crc, packedSize, plainSize, offset }) => {
    const title = Buffer.from(name)
    const record = Buffer.alloc(46)
    record.writeUInt32LE(0x02014b50, 0)
    record.writeUInt16LE(20, 4)
    record.writeUInt16LE(20, 6)
    record.writeUInt16LE(0x0808, 8)
    record.writeUInt16LE(8, 10)
    record.writeUInt32LE(0x00210000, 12)
    record.writeUInt32LE(crc, 16)
    record.writeUInt32LE(packedSize, 20)
    record.writeUInt32LE(plainSize, 24)
    record.writeUInt16LE(title.length, 28)
    record.writeUInt32LE(offset, 42)
    return Buffer.concat([record, title])
  })
  const size = records.reduce((sum, record) => sum + record.length, 0)
  const last = entries.at(-1)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(size, 12)
  end.writeUInt32LE(last ? last.offset + last.size : 0, 16)
  return Buffer.concat([...records, end])
}
