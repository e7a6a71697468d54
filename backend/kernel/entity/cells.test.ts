import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type DateEvidence, dateOrderOf, weighDate } from './cell-dates.ts'
import { decimalOf, weighNumber } from './cell-numbers.ts'
import { type CellStyle, fromCell, guarded, toCell, unguarded } from './cells.ts'

const style: CellStyle = { dateOrder: 'mdy', decimal: '.', timezone: 'UTC' }
const read = (kind: string, cell: unknown, more: Partial<CellStyle> = {}) =>
  fromCell({ kind }, cell, { ...style, ...more })

describe('numbers', () => {
  test.each([
    ['13938.0', 13938],
    ['1,234,567.89', 1234567.89],
    ['$1,234.50', 1234.5],
    ['-$5', -5],
    ['$-5', -5],
    ['(1,234.50)', -1234.5],
    ['5-', -5],
    ['−3', -3],
    ['1 234,0', null],
    ['1 234.5', 1234.5],
    ["1'234.5", 1234.5],
    ['EUR 12', 12],
    ['12 USD', 12],
    ['50 %', 50],
    ['1.2E+3', 1200],
    ['.5', 0.5],
    ['12,34,567', 1234567],
    ['1,23', null],
    ['12 apples', null],
    ['1.2.3', null],
    ['', undefined],
    ['-', null],
    ['NaN', null],
    ['Infinity', null],
    ['0x10', null],
  ])('%j is %j', (cell, value) => {
    if (value === null) expect(() => read('number', cell)).toThrow('must be a number')
    else expect(read('number', cell)).toBe(value)
  })

  test.each([
    ['1.234,50 €', 1234.5],
    ['1.234', 1234],
    ['0,5', 0.5],
    ['1234', 1234],
    ['1.23', null],
  ])('with a comma before the fraction %j is %j', (cell, value) => {
    if (value === null) expect(() => read('money', cell, { decimal: ',' })).toThrow('must be a number')
    else expect(read('money', cell, { decimal: ',' })).toBe(value)
  })

  test.each([
    [['1.234', '5.678'], '.'],
    [['1,234', '5,678'], '.'],
    [['1,5', '1.234'], ','],
    [['1.234,5'], ','],
    [['1,234.5'], '.'],
    [['1.234.567'], ','],
    [['€ 12,34', '13.938,00'], ','],
    [['13938.0', ''], '.'],
    [[], '.'],
  ])('the column %j has %j before the fraction', (cells, decimal) => {
    const evidence = { dot: 0, comma: 0 }
    for (const cell of cells) weighNumber(evidence, cell)
    expect(decimalOf(evidence)).toBe(decimal)
  })
})

describe('dates', () => {
  test.each([
    ['3/1/2017', 'mdy', '2017-03-01'],
    ['3/1/2017', 'dmy', '2017-01-03'],
    ['03.01.17', 'dmy', '2017-01-03'],
    ['17-03-01', 'ymd', '2017-03-01'],
    ['2017-03-01', 'dmy', '2017-03-01'],
    ['2017/3/1', 'mdy', '2017-03-01'],
    ['1 Mar 2017', 'mdy', '2017-03-01'],
    ['March 1st, 2017', 'mdy', '2017-03-01'],
    ['1-Sept-2017', 'mdy', '2017-09-01'],
    ['3/1/2017 2:30 PM', 'mdy', '2017-03-01'],
    ['1/3/75', 'dmy', '1975-03-01'],
    ['2016-02-29', 'mdy', '2016-02-29'],
    ['2017-02-29', 'mdy', null],
    ['13/13/2017', 'mdy', null],
    ['3/1', 'mdy', null],
    ['tomorrow', 'mdy', null],
    ['3/1/2017 x', 'mdy', null],
    ['1 Marble 2017', 'mdy', null],
  ] as const)('%j in the order %s is %j', (cell, dateOrder, day) => {
    if (day === null) expect(() => read('date', cell, { dateOrder })).toThrow('must be a date')
    else expect(read('date', cell, { dateOrder })).toBe(day)
  })

  test('a time without an offset is the zone’s, a day begins at its midnight', () => {
    const timezone = 'America/New_York'
    expect(read('time', '3/1/2017', { timezone })).toBe('2017-03-01T05:00:00.000Z')
    expect(read('time', '3/1/2017 2:30 pm', { timezone })).toBe('2017-03-01T19:30:00.000Z')
    expect(read('time', '2017-03-01T12:00:00+02:00', { timezone })).toBe('2017-03-01T10:00:00.000Z')
    expect(read('time', '2017-03-01 12:00:00', { timezone })).toBe('2017-03-01T17:00:00.000Z')
    expect(read('date', '2017-03-01T02:00:00Z', { timezone })).toBe('2017-02-28')
  })

  test('a spreadsheet’s own dates', () => {
    expect(read('date', new Date('2017-03-01T00:00:00Z'))).toBe('2017-03-01')
    expect(read('time', new Date('2017-03-01T14:30:00Z'))).toBe('2017-03-01T14:30:00.000Z')
    expect(read('date', 42795)).toBe('2017-03-01')
    expect(read('text', new Date('2017-03-01T00:00:00Z'))).toBe('2017-03-01')
  })

  test.each([
    [['3/1/2017', '10/25/2016'], 'en', 'mdy'],
    [['1/3/2017', '25/10/2016'], 'en', 'dmy'],
    [['1/3/2017'], 'en', 'mdy'],
    [['1/3/2017'], 'de-AT', 'dmy'],
    [['1.3.2017'], 'en', 'dmy'],
    [['2017-03-01'], 'en', 'ymd'],
    [['99/03/31'], 'en', 'ymd'],
    [['', 'soon'], 'en', 'mdy'],
  ])('the column %j of a tenant who speaks %s is %s', (cells, locale, order) => {
    const evidence: DateEvidence = { dmy: 0, mdy: 0, ymd: 0, dotted: 0, seen: 0 }
    for (const cell of cells) weighDate(evidence, cell)
    expect(dateOrderOf(evidence, locale)).toBe(order)
  })
})

test('words', () => {
  const choice = (cell: string) => fromCell({ kind: 'choice', choices: ['open', 'in_progress'] }, cell, style)
  expect([choice('OPEN'), choice('In progress'), choice('in-progress')]).toEqual(['open', 'in_progress', 'in_progress'])
  expect(() => choice('shut')).toThrow('must be one of open, in_progress')
  expect(['TRUE', 'yes', 'x', 1, true].map((cell) => read('flag', cell))).toEqual(Array(5).fill(true))
  expect(['False', 'N', '0', 'nein'].map((cell) => read('flag', cell))).toEqual(Array(4).fill(false))
  expect(() => read('flag', 'maybe')).toThrow('must be true or false')
  expect(() => read('flag', 'constructor')).toThrow('must be true or false')
  expect(read('tags', 'vip, new;  cold ,')).toEqual(['vip', 'new', 'cold'])
  expect(read('tags', '["a,b"]')).toEqual(['a,b'])
  expect(read('url', 'example.com')).toBe('https://example.com')
  expect(read('email', ' mailto:ada@example.com ')).toBe('ada@example.com')
  expect(read('currency', 'eur')).toBe('EUR')
  expect(read('phone', 442079460958)).toBe('442079460958')
  expect(read('text', '   ')).toBeUndefined()
})

test('what is written as a cell is read back as the same', () => {
  const texts = fc.string({ unit: 'grapheme', minLength: 1 }).map((text) => text.trim())
  const same = (kind: string, value: unknown) => expect(read(kind, unguarded(guarded(toCell(value))))).toEqual(value)
  const money = fc.integer({ min: -999_999_999_999, max: 999_999_999_999 }).map((units) => units / 10_000)
  const days = fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
  fc.assert(
    fc.property(texts, money, fc.double({ noNaN: true, min: -1e15, max: 1e15 }), days, (text, amount, number, day) => {
      if (text !== '') same('text', text)
      same('money', amount)
      same('decimal', Object.is(number, -0) ? 0 : number)
      same('date', day.toISOString().slice(0, 10))
      same('time', day.toISOString())
    }),
  )
  const lists = fc.uniqueArray(
    texts.filter((text) => text !== ''),
    { minLength: 1 },
  )
  fc.assert(fc.property(lists, (list) => void same('tags', list)))
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), (value) => {
      const plain = JSON.parse(JSON.stringify(value))
      if (Object.keys(plain).length > 0) same('json', plain)
    }),
  )
})
