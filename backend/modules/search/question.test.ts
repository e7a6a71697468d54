import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'

let house: TestApp
let alice: Client

beforeAll(async () => {
  house = await startTestApp()
  alice = house.alice
})
afterAll(() => house.stop())

const query = (parameters: Record<string, string | number>): string =>
  Object.entries(parameters)
    .map(([name, value]) => `${name}=${encodeURIComponent(String(value).toWellFormed())}`)
    .join('&')

/** A search once it gives as many hits as it should: the index follows the records within milliseconds. */
const search = (client: Client, parameters: Record<string, string | number>, count: number, path = '/search') =>
  eventually(
    async () => {
      const { status, body } = await client.get(`${path}?${query(parameters)}`)
      expect(status).toBe(200)
      return body.data.length === count && body
    },
    `${count} hits for ${JSON.stringify(parameters)}`,
  )

const titles = (body: { data: { title: string }[] }): string[] => body.data.map(({ title }) => title)

describe('what was typed', () => {
  test('finds a record by its words, whatever their case and accents', async () => {
    await alice.build('contact', { firstName: 'Zoë', lastName: 'Brontë', email: 'zoe.b@moors.example.com' })
    for (const q of [
      'Zoë Brontë',
      'zoe bronte',
      'BRONTË',
      'brönte zoe',
      'Zoe\u0308',
      'zoe.b@moors.example.com',
      'moors',
    ]) {
      expect(titles(await search(alice, { q }, 1))).toEqual(['Zoë Brontë'])
    }
  })

  test('finds while one types, in any word', async () => {
    await alice.build('company', { name: 'Quixotic Windmills' })
    for (const q of ['quix', 'quixotic w', 'windm', 'win quix']) {
      expect(titles(await search(alice, { q }, 1))).toEqual(['Quixotic Windmills'])
    }
  })

  test('finds with one edit from 4 letters on, with two from 8 on, and with none below', async () => {
    await alice.build('contact', { firstName: 'Ivy', lastName: 'Fitzwilliam' })
    await alice.build('contact', { firstName: 'Olaf', lastName: 'Dunquist' })
    await search(alice, { q: 'fitzwilliam' }, 1)
    await search(alice, { q: 'olaf' }, 1)
    for (const q of [
      'fitzwiliam',
      'fitzwilliham',
      'fitswilliam',
      'ftizwilliam',
      'itzwilliam',
      'xitzwilliay',
      'ftizwilliamm',
    ])
      expect([q, titles(await search(alice, { q }, 1))]).toEqual([q, ['Ivy Fitzwilliam']])
    for (const q of ['olag', 'loaf', 'olaaf', 'dunqist'])
      expect(titles(await search(alice, { q }, 1))).toEqual(['Olaf Dunquist'])
    for (const q of ['ivi', 'lofa', 'fitzzvilian']) await search(alice, { q }, 0)
  })

  test('finds what was meant also beside other words, and only where the words as typed find too little', async () => {
    await alice.build('contact', { firstName: 'Marten', lastName: 'Sprocket' })
    await alice.build('contact', { firstName: 'Martin', lastName: 'Sprocket' })
    await search(alice, { q: 'sprocket' }, 2)
    expect(titles(await search(alice, { q: 'marten sprocket' }, 1))).toEqual(['Marten Sprocket'])
    expect(titles(await search(alice, { q: 'matren sprokcet' }, 1))).toEqual(['Marten Sprocket'])
    expect(titles(await search(alice, { q: 'marton' }, 2)).toSorted()).toEqual(['Marten Sprocket', 'Martin Sprocket'])
  })

  test('finds names with apostrophes, scripts without spaces, numbers and parts of addresses', async () => {
    await alice.build('contact', { firstName: "Conan O'Brannigan", phone: '+44 20 7946 0958' })
    await alice.build('company', { name: '株式会社東京製作所' })
    for (const q of ["o'brannigan", 'obrannigan', 'brannigan', 'O’Bran', '442079460958', '+44 20 7946 0958', '7946'])
      await search(alice, { q }, 1)
    for (const q of ['東京', '株式会社', '製', '東京製作']) await search(alice, { q }, 1)
    await search(alice, { q: '東製' }, 0)
  })

  test('finds what stands in long texts and custom fields', async () => {
    await alice.build('customField', { resource: 'deal', key: 'habitat', label: 'Habitat', type: 'text' })
    await alice.build('deal', { name: 'Nine gulls', customFields: { habitat: 'Estuarine mudflats' } })
    await alice.build('note', {
      body: `Minutes\n${'and so on '.repeat(500)}then the cormorant came ${'again '.repeat(50)}`,
    })
    expect(titles(await search(alice, { q: 'mudflats' }, 1))).toEqual(['Nine gulls'])
    const { data } = await search(alice, { q: 'cormorant' }, 1)
    expect(data[0].title).toBe('Minutes')
    expect(data[0].highlights.body[0]).toMatch(/^….*then the <mark>cormorant<\/mark> came again.*…$/)
  })

  test('is never too hostile for an answer', async () => {
    const nasty = [
      "'",
      '"',
      '\\',
      "\\'",
      '&|!()<->:*',
      "a' & 'b",
      'a:*',
      '%',
      '_',
      '🎉',
      '🎉🎉 ada',
      '\u202e\u0000',
      '\0',
      '\ud800',
      '￾',
      '株',
      'ﷺ',
      'Ⅷ½',
      '𝐀𝐝𝐚',
      'a'.repeat(200),
      'a '.repeat(100),
      "o'".repeat(60),
      '東'.repeat(200),
      '1 2 3 4 5',
      '-1',
      'null',
      '__proto__',
      '<script>',
      "'; drop table search_documents; --",
      'x'.repeat(1000),
      '\u0301\u0301',
      '​',
      '\n\t',
    ]
    for (const q of nasty) {
      for (const path of ['/search', '/search/contacts', '/search/suggest', '/contacts', '/users', '/tags']) {
        const { status } = await alice.get(`${path}?${query({ q })}`)
        expect([200, 400], `${path}?q=${JSON.stringify(q)} gave ${status}`).toContain(status)
      }
    }
    for (const raw of ['%', '%00', '%ff%fe', '%ED%A0%80', `q${'='.repeat(50)}`]) {
      expect([200, 400]).toContain((await alice.get(`/search?q=${raw}`)).status)
    }
    expect((await alice.get(`/search?${query({ q: '!!! 🎉' })}`)).body.data).toEqual([])
    expect((await alice.get(`/search?${query({ tags: "a'\\,b", q: 'x' })}`)).status).toBe(200)
  })
})
