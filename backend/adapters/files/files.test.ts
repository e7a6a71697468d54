import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { filesContract } from './files.contract.ts'
import { openFiles } from './index.ts'
import { createLinks } from './links.ts'

let folder: string
let house: TestApp
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clientforge-files-'))
  house = await startTestApp()
})
afterAll(async () => {
  await house?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** The store of the house: the same folder, the same secret. */
const store = () =>
  openFiles({ storageDir: house.config.storageDir, secret: house.config.jwtSecret, base: () => house.url }).files

filesContract('a folder', async () => openFiles({ storageDir: folder, secret: 'x'.repeat(32), base: () => '' }).files)

test('a folder holds no drafts when nothing is written', async () => {
  expect((await readdir(join(folder, 'files'), { recursive: true })).filter((name) => name.endsWith('~'))).toEqual([])
})

describe('a signed link', () => {
  const linkTo = async (content: string, name = 'report.csv') => {
    const files = store()
    await files.put('tests/linked.csv', Readable.from([content]), 'text/csv')
    return files.link('tests/linked.csv', { name, contentType: 'text/html; charset=utf-8', expiresIn: 60 })
  }

  test('gives the file as an attachment that no browser runs', async () => {
    const answer = await fetch(await linkTo('a,b\n', 'Müller "50%" (1).csv'))
    expect([answer.status, await answer.text()]).toEqual([200, 'a,b\n'])
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-disposition': `attachment; filename="M_ller _50__ (1).csv"; filename*=UTF-8''M%C3%BCller%20%2250%25%22%20%281%29.csv`,
      'content-type': 'text/html; charset=utf-8',
      'x-content-type-options': 'nosniff',
      'accept-ranges': 'bytes',
      'content-length': '4',
    })
    expect(answer.headers.get('content-security-policy')).toContain('sandbox')
  })

  test.each([
    ['bytes=0-3', 206, '0123', 'bytes 0-3/10'],
    ['bytes=4-', 206, '456789', 'bytes 4-9/10'],
    ['bytes=-3', 206, '789', 'bytes 7-9/10'],
    ['bytes=8-99', 206, '89', 'bytes 8-9/10'],
    ['bytes=-99', 206, '0123456789', 'bytes 0-9/10'],
    ['bytes=0-1,3-4', 200, '0123456789', null],
    ['bytes=5-2', 200, '0123456789', null],
    ['lines=1-2', 200, '0123456789', null],
    ['bytes=10-', 416, null, 'bytes */10'],
    ['bytes=-0', 416, null, 'bytes */10'],
  ])('answers the range %s with %d', async (range, status, content, contentRange) => {
    const answer = await fetch(await linkTo('0123456789'), { headers: { range } })
    expect([answer.status, answer.headers.get('content-range')]).toEqual([status, contentRange])
    const body = await answer.text()
    if (content !== null) expect(body).toBe(content)
  })

  test('goes on with a download only while the file is the same', async () => {
    const url = await linkTo('0123456789')
    const etag = (await fetch(url)).headers.get('etag') ?? ''
    const from = (ifRange: string) => fetch(url, { headers: { range: 'bytes=5-', 'if-range': ifRange } })
    expect([(await from(etag)).status, (await from('"other"')).status]).toEqual([206, 200])
  })

  test('answers HEAD without the bytes', async () => {
    const answer = await fetch(await linkTo('0123456789'), { method: 'HEAD' })
    expect([answer.status, answer.headers.get('content-length'), await answer.text()]).toEqual([200, '10', ''])
  })

  test('that is forged, of another secret or of nothing is 404, one that has expired 403', async () => {
    const url = await linkTo('secret')
    const token = url.slice(url.lastIndexOf('/') + 1)
    const [payload = '', signature = ''] = token.split('.')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
    const other = Buffer.from(JSON.stringify({ ...claims, e: claims.e + 1_000 })).toString('base64url')
    const stranger = createLinks('y'.repeat(32), () => house.url)
    const past = createLinks(
      house.config.jwtSecret,
      () => house.url,
      () => Date.now() - 120_000,
    )
    const options = { name: 'x', contentType: 'text/plain', expiresIn: 60 }
    const statusOf = async (link: string) => (await house.nobody.get(`//${link.slice(house.url.length + 1)}`)).status
    for (const forged of [`${other}.${signature}`, `${payload}.`, payload, `${token}.x`, 'x', '..%2f..%2fetc%2fpasswd'])
      expect([forged, await statusOf(`${house.url}/files/${forged}`)]).toEqual([forged, 404])
    expect(await statusOf(stranger.sign('tests/linked.csv', options))).toBe(404)
    expect(await statusOf(past.sign('tests/linked.csv', options))).toBe(403)
    await store().delete('tests/linked.csv')
    expect(await statusOf(url)).toBe(404)
  })

  test('whose reader leaves in the middle leaves nothing open', async () => {
    const files = store()
    await files.put('tests/large.bin', Readable.from([Buffer.alloc(20_000_000)]), 'application/octet-stream')
    const url = await files.link('tests/large.bin', { name: 'x', contentType: 'text/plain', expiresIn: 60 })
    await new Promise<void>((resolve, reject) => {
      const call = request(url, (response) => {
        response.once('data', () => {
          response.destroy()
          resolve()
        })
      })
      call.once('error', reject)
      call.end()
    })
    expect((await fetch(url, { headers: { range: 'bytes=0-0' } })).status).toBe(206)
  })
})
