import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { FileMissing, type Files } from './files.port.ts'

/** What every store of files must do. `follow` reads a link as a browser would. */
export function filesContract(name: string, open: () => Promise<Files>): void {
  describe(`${name} keeps files`, () => {
    const put = async (files: Files, key: string, content: string | Buffer) =>
      files.put(key, Readable.from([Buffer.from(content)]), 'text/plain')

    test('gives back what was put, with its size and hash', async () => {
      const files = await open()
      const content = randomBytes(3_000_000)
      const chunks = [content.subarray(0, 7), content.subarray(7, 1_500_000), content.subarray(1_500_000)]
      const kept = await files.put('imports/big.bin', Readable.from(chunks), 'application/octet-stream')
      const sha256 = createHash('sha256').update(content).digest('hex')
      expect(kept).toEqual({ key: 'imports/big.bin', size: content.length, sha256 })
      expect(Buffer.compare(await buffer(await files.get('imports/big.bin')), content)).toBe(0)
      expect(await files.stat('imports/big.bin')).toMatchObject({ size: content.length })
    })

    test('gives a part of it', async () => {
      const files = await open()
      await put(files, 'a/b.txt', '0123456789')
      expect(await text(await files.get('a/b.txt', { start: 2, end: 4 }))).toBe('234')
      expect(await text(await files.get('a/b.txt', { start: 9, end: 9 }))).toBe('9')
    })

    test('replaces what stood under the key', async () => {
      const files = await open()
      await put(files, 'a.txt', 'before')
      await put(files, 'a.txt', 'after')
      expect(await text(await files.get('a.txt'))).toBe('after')
    })

    test('keeps an empty file', async () => {
      const files = await open()
      expect(await files.put('empty.csv', Readable.from([]), 'text/csv')).toMatchObject({ size: 0 })
      expect(await text(await files.get('empty.csv'))).toBe('')
    })

    test('keeps nothing of a stream that fails, and what stood there stays', async () => {
      const files = await open()
      await put(files, 'kept.txt', 'whole')
      const failing = async function* () {
        yield Buffer.from('half')
        throw new Error('the sender left')
      }
      await expect(files.put('kept.txt', Readable.from(failing()), 'text/plain')).rejects.toThrow('the sender left')
      await expect(files.put('never.txt', Readable.from(failing()), 'text/plain')).rejects.toThrow('the sender left')
      expect(await text(await files.get('kept.txt'))).toBe('whole')
      expect(await files.stat('never.txt')).toBeNull()
    })

    test('says that a file is not there, and deletes it as often as one likes', async () => {
      const files = await open()
      await put(files, 'gone.txt', 'x')
      await files.delete('gone.txt')
      await files.delete('gone.txt')
      expect(await files.stat('gone.txt')).toBeNull()
      await expect(files.get('gone.txt')).rejects.toBeInstanceOf(FileMissing)
    })

    test('lists what is in a folder and below it', async () => {
      const files = await open()
      for (const key of ['listed/a.txt', 'listed/deep/b.txt', 'listed-not/c.txt']) await put(files, key, 'four')
      const found = await all(files.list('listed'))
      expect(found.map(({ key, size }) => [key, size]).toSorted()).toEqual([
        ['listed/a.txt', 4],
        ['listed/deep/b.txt', 4],
      ])
      expect(found.every(({ modifiedAt }) => Math.abs(modifiedAt.getTime() - Date.now()) < 60_000)).toBe(true)
      expect(await all(files.list('nowhere'))).toEqual([])
    })

    test.each(['../out', 'a/../b', '/etc/passwd', 'a//b', '', 'a\\b', 'UPPER', 'a/.hidden', 'nul\0', 'x'.repeat(600)])(
      'takes no key that could lead out: %j',
      async (key) => {
        const files = await open()
        await expect(put(files, key, 'x')).rejects.toThrow('key')
        await expect(files.get(key)).rejects.toThrow('key')
        await expect(files.stat(key)).rejects.toThrow('key')
        await expect(files.link(key, { name: 'x', contentType: 'text/plain', expiresIn: 5 })).rejects.toThrow('key')
      },
    )
  })
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}
