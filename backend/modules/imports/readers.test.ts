import { Readable } from 'node:stream'
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import writeExcelFile from 'write-excel-file/node'
import { csvRows } from './csv-rows.ts'
import { recogniseDelimiter } from './delimiter.ts'
import { isDecoded } from './encoding.ts'
import { type FileStyle, openTable, recogniseFile } from './recognise.ts'
import { TableError } from './table.ts'

/** Reads a file in small pieces, so that what is cut between two is seen. */
async function read(bytes: Buffer | string, name = 'file.csv', said: Parameters<typeof recogniseFile>[2] = {}) {
  const content = Buffer.from(bytes)
  const size = content.length < 100_000 ? 3 : 65_536
  const open = async () =>
    Readable.from(
      Array.from({ length: Math.ceil(content.length / size) }, (_none, place) =>
        content.subarray(place * size, (place + 1) * size),
      ),
    )
  const style = await recogniseFile(open, name, said)
  const table = await openTable(open, style)
  const rows = []
  for await (const row of table.rows()) rows.push(row)
  return { style, columns: table.columns, rows: rows.map(({ line, cells }) => [line, ...cells]), all: rows }
}

const utf16 = (text: string, order: 'le' | 'be', mark = true) => {
  const bytes = Buffer.from(`${mark ? '\uFEFF' : ''}${text}`, 'utf16le')
  return order === 'le' ? bytes : bytes.swap16()
}
const styleOf = (style: FileStyle) => [style.format, style.encoding, style.delimiter]

test('a table with quoted line breaks, quotes, blank lines and its line numbers', async () => {
  const { columns, rows } = await read(
    '\uFEFF Name ,Note\r\nAda,"one\r\ntwo, ""three"""\r\n\r\nBob,5" pipe\r\nCarl,last',
  )
  expect(columns).toEqual(['Name', 'Note'])
  expect(rows).toEqual([
    [2, 'Ada', 'one\r\ntwo, "three"'],
    [5, 'Bob', '5" pipe'],
    [6, 'Carl', 'last'],
  ])
})

test.each(['le', 'be'] as const)('UTF-16%s with and without its mark', async (order) => {
  for (const mark of [true, false]) {
    const { style, columns, rows } = await read(utf16('Name;Ort\nZoë;Köln\nŁukasz;Łódź\n', order, mark))
    expect(styleOf(style)).toEqual(['csv', `utf-16${order}`, ';'])
    expect([columns, rows]).toEqual([
      ['Name', 'Ort'],
      [
        [2, 'Zoë', 'Köln'],
        [3, 'Łukasz', 'Łódź'],
      ],
    ])
  }
})

test('Windows-1252, also when the first word that shows it stands far behind', async () => {
  const start = `Name,Note\n${'Ada,plain\n'.repeat(20_000)}`
  const { style, rows } = await read(Buffer.from(`${start}Jürgen,${'\x80'} 5 ${'\x96'} caf\xe9\n`, 'latin1'))
  expect(styleOf(style)).toEqual(['csv', 'windows-1252', ','])
  expect(rows.at(-1)).toEqual([20_002, 'Jürgen', '€ 5 – café'])
})

test('what was said is not guessed', async () => {
  const { style, rows } = await read(Buffer.from('a|b\nZo\xc3\xab|1,2\n', 'latin1'), 'x.csv', {
    encoding: 'windows-1252',
    delimiter: '|',
  })
  expect([styleOf(style), rows]).toEqual([['csv', 'windows-1252', '|'], [[2, 'ZoÃ«', '1,2']]])
})

test.each([
  ['a,b,c\n1,2,3\n', ','],
  ['a;b\n1,5;2,5\n3,5;4,5\n', ';'],
  ['a\tb, c\n1\t2\n', '\t'],
  ['a|b|c\n"x|y"|2|3\n', '|'],
  ['name\nAda\n', ','],
  ['"a;b",c\n"1;2",3\n', ','],
])('the separator of %j is %j', (sample, delimiter) => {
  expect(recogniseDelimiter(sample)).toBe(delimiter)
})

test('one leading quote before a formula is taken off', async () => {
  const { rows } = await read("a,b,c,d\n'=1+1,'-5,''x,'tis\n")
  expect(rows).toEqual([[2, '=1+1', '-5', "'x", "'tis"]])
})

test('JSON Lines keep their types, and a broken line is told', async () => {
  const { style, columns, all } = await read(
    '{"name":"Ada","value":1.5,"tags":["a"]}\n\n[1]\n{"name":"Bob","constructor":true}\n',
    'x.jsonl',
  )
  expect([styleOf(style), columns]).toEqual([
    ['jsonl', 'utf-8', ','],
    ['name', 'value', 'tags', 'constructor'],
  ])
  expect(all).toEqual([
    { line: 1, cells: ['Ada', 1.5, ['a'], undefined] },
    { line: 3, cells: [], broken: expect.stringContaining('must be a JSON object on one line') },
    { line: 4, cells: ['Bob', undefined, undefined, true] },
  ])
})

test('a workbook with numbers, dates, truths and empty rows', async () => {
  const day = new Date('2017-03-01T00:00:00Z')
  const sheet = [
    ['Name', 'Value', 'Day', 'Done'].map((value) => ({ value, type: String })),
    [
      { value: "'=Ada", type: String },
      { value: 13938, type: Number },
      { value: day, type: Date, format: 'dd.mm.yyyy' },
      { value: true, type: Boolean },
    ],
    [null, null, null, null],
    [{ value: 'Bob', type: String }, { value: 0.1, type: Number }, null, null],
  ]
  const { style, columns, rows } = await read(await writeExcelFile(sheet).toBuffer(), 'x.xlsx')
  expect([style.format, columns]).toEqual(['xlsx', ['Name', 'Value', 'Day', 'Done']])
  expect(rows).toEqual([
    [2, '=Ada', 13938, day, true],
    [4, 'Bob', 0.1, null, null],
  ])
})

test('a row that is too long is wrong by itself, and stops no other', async () => {
  const long = 'x\r\n'.repeat(400_000)
  const { all } = await read(`a,b\r\n1,2\r\n"${long}",3\r\n4,5\r\n${','.repeat(1_100_000)}\r\n6,7`)
  const broken = expect.stringContaining('is longer than 1 MiB')
  expect(all).toEqual([
    { line: 2, cells: ['1', '2'] },
    { line: 3, cells: [], broken },
    { line: 400_004, cells: ['4', '5'] },
    { line: 400_005, cells: [], broken },
    { line: 400_006, cells: ['6', '7'] },
  ])
  const lines = await read(
    `{"a":1}\n{"a":"${long.replaceAll('\r\n', ' ')}x${long.replaceAll('\r\n', ' ')}"}\n{"a":2}`,
    'x.jsonl',
  )
  expect(lines.all).toEqual([
    { line: 1, cells: [1] },
    { line: 2, cells: [], broken },
    { line: 3, cells: [2] },
  ])
})

test('tables are read as csv-parse reads them, in whatever pieces they come', async () => {
  const piece = fc.constantFrom('a', '"', '""', ',', '\n', '\r\n', '\r', 'é', ' ', '","', '"\n"')
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 30 }), fc.integer({ min: 1, max: 5 }), async (pieces, size) => {
      const text = pieces.join('')
      const options = { relax_quotes: true, relax_column_count: true, record_delimiter: ['\r\n', '\n', '\r'] }
      const theirs = await parsed(() => parse(text, options))
      const ours = await parsed(() => {
        const { feed, end } = csvRows(',')
        const rows = (text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []).flatMap(feed)
        return [...rows, ...end()].map(({ cells }) => cells)
      })
      expect(ours).toEqual(theirs)
    }),
    { numRuns: 3_000 },
  )
})

/** Null: a quote is not closed. */
const parsed = async (read: () => unknown): Promise<unknown> => {
  try {
    return read()
  } catch {
    return null
  }
}

// The second character is written in UTF-16 with the half that stands for what could not be read.
const broken = ['name,note\nAda,\uFFFD\u{1F7FF}\nZo', ',x\nBob,'] as const

test.each([
  [
    'utf-8',
    Buffer.concat([
      Buffer.from(broken[0]),
      Buffer.from('eb', 'hex'),
      Buffer.from(broken[1]),
      Buffer.from('e282', 'hex'),
    ]),
  ],
  ['utf-16le', utf16(`${broken[0]}\uD800${broken[1]}\uDC00`, 'le')],
] as const)('what is no character in %s is seen, and U+FFFD is one', async (encoding, bytes) => {
  const { rows } = await read(bytes, 'x.csv', { encoding })
  const seen = rows.map(([, ...cells]) => cells.map((cell) => isDecoded(String(cell))))
  expect([rows[0], seen]).toEqual([
    [2, 'Ada', '\uFFFD\u{1F7FF}'],
    [
      [true, true],
      [false, true],
      [true, false],
    ],
  ])
})

test.each([
  ['', 'The file is empty'],
  ['PK\x03\x04 and nothing more', 'This is not an XLSX workbook'],
  ['\xd0\xcf\x11\xe0\xa1\xb1', 'Excel 97'],
  [`a,b\n1,2\n"x\ny","${'x\n'.repeat(600_000)}`, 'The quote that is opened at line 4 is never closed'],
  ['a,b\n1,2\n"3,4\n', 'The quote that is opened at line 3 is never closed'],
  [`a,${'b'.repeat(1_100_000)}\n1,2`, 'The first row, at line 1, is longer than 1 MiB'],
  [`${'c,'.repeat(1_000)}c\n1`, 'has 1001 columns'],
])('what is no table says so', async (bytes, reason) => {
  const failing = read(Buffer.from(bytes, 'latin1'))
  await expect(failing).rejects.toBeInstanceOf(TableError)
  await expect(failing).rejects.toThrow(reason)
})

test('a row that is nested without end is wrong by itself, and stops no other', async () => {
  const deep = `{"name":${'['.repeat(50_000)}${']'.repeat(50_000)}}`
  const table = await openTable(async () => Readable.from([Buffer.from(`${deep}\n{"name":"Ada"}\n`)]), {
    format: 'jsonl',
    encoding: 'utf-8',
    delimiter: ',',
  })
  const rows = []
  for await (const row of table.rows()) rows.push(row)
  expect(rows).toEqual([
    { line: 1, cells: [], broken: expect.stringContaining('at most 20') },
    { line: 2, cells: ['Ada'] },
  ])
})
