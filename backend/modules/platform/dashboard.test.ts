import { randomUUID } from 'node:crypto'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { browserPath, openBrowser } from '../../test/browser.ts'
import { platformAdmin } from '../../test/cast.ts'
import type { Client } from '../../test/client.ts'
import { createPrinter, printed } from '../../test/printer.ts'

let house: TestApp
let olga: Client
const printer = createPrinter({ broken: false })

beforeAll(async () => {
  house = await startTestApp({ jobs: [printer.job] })
  olga = await house.operator()
})
afterAll(() => house.stop())

describe('the page of the queues', () => {
  test('is closed to whoever has not signed in, with its files and data', async () => {
    const page = await get('/admin/queues')
    expect([page.status, page.headers.get('location')]).toEqual([303, '/admin/sign-in'])
    for (const path of ['/admin/queues/api/queues', '/admin/queues/static/js/main.js'])
      expect([path, (await get(path)).status]).toEqual([path, 401])
    expect((await change('/admin/queues/api/queues/pause', '', 'PUT')).status).toBe(401)
    const forged = `clientforge_operator=${randomUUID()}.${'A'.repeat(43)}`
    expect((await get('/admin/queues/api/queues', forged)).status).toBe(401)
    const token = olga.token
    expect((await get('/admin/queues/api/queues', `clientforge_operator=${token}`)).status).toBe(401)
  })

  test('opens to the operator, for this browser alone, until he signs out', async () => {
    const answer = await signIn()
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/admin/queues'])
    const set = answer.headers.get('set-cookie') ?? ''
    expect(set).toMatch(/^clientforge_operator=[^;]+; Path=\/admin; HttpOnly; SameSite=Strict; Max-Age=43200$/)
    const [cookie = ''] = set.split(';')
    const page = await get('/admin/queues', cookie)
    expect(page.status).toBe(200)
    expect(page.headers.get('x-powered-by')).toBeNull()
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self';")
    expect((await get('/admin/queues/api/queues', cookie)).status).toBe(200)
    const asToken = await house.nobody.get('/admin/jobs', { authorization: `Bearer ${cookie.split('=')[1]}` })
    expect(asToken.status).toBe(401)
    const out = await change('/admin/sign-out', cookie)
    expect([out.status, out.headers.get('set-cookie')]).toEqual([303, expect.stringContaining('Max-Age=0')])
    expect((await get('/admin/queues/api/queues', cookie)).status).toBe(401)
  })

  test('takes nothing that another page sends', async () => {
    const cookie = await signedIn()
    for (const origin of [undefined, 'null', 'https://evil.example', house.url.replace('http:', 'http://x.')]) {
      const headers = { cookie, ...(origin ? { origin } : {}) }
      const paths = ['/admin/sign-in', '/admin/sign-out', '/admin/queues/api/queues/email/pause']
      for (const path of paths) {
        const method = path.startsWith('/admin/queues') ? 'PUT' : 'POST'
        const { status } = await fetch(`${house.url}${path}`, { method, headers, redirect: 'manual' })
        expect([origin, path, status]).toEqual([origin, path, 403])
      }
    }
    expect(await paused('email')).toBe(false)
  })

  test('steers queues and what failed, and offers nothing that breaks their word', async () => {
    const cookie = await signedIn()
    const api = '/admin/queues/api/queues'
    expect((await change(`${api}/email/pause`, cookie, 'PUT')).status).toBe(200)
    expect(await paused('email')).toBe(true)
    expect((await change(`${api}/email/resume`, cookie, 'PUT')).status).toBe(200)
    printer.broken = false
    const id = await printer.print(house.alice, olga)
    const refused: [string, string][] = [
      ['POST', `${api}/reports/add`],
      ['PUT', `${api}/reports/${id}/retry`],
      ['PUT', `${api}/reports/${id}/clean`],
      ['PATCH', `${api}/reports/${id}/update-data`],
      ['PUT', `${api}/reports/retry/completed`],
      ['PUT', `${api}/reports/clean/completed`],
      ['PUT', `${api}/reports/clean/wait`],
      ['PUT', `${api}/reports/empty`],
      ['PUT', `${api}/reports/obliterate`],
      ['PUT', `${api}/reports/promote`],
      ['PUT', `${api}/reports/concurrency`],
      ['PUT', `${api}/reports/rate-limit`],
      ['PUT', `${api}/cleanup/job-schedulers/x/remove`],
      ['PATCH', `${api}/cleanup/job-schedulers/x`],
    ]
    for (const [method, path] of refused)
      expect([path, (await change(path, cookie, method)).status]).toEqual([path, 403])
    expect((await olga.get('/admin/jobs/reports?state=completed')).body.data).toMatchObject([{ id }])
  })

  test('lets a network guess as often as at any sign-in, whichever of its addresses and processes it takes', async () => {
    const other = await house.another({ environment: { TRUST_PROXY: '1' } })
    const from = (address: string, password: string) =>
      signIn({ ...platformAdmin, password }, other.url, { 'x-forwarded-for': address })
    for (let count = 0; count < 5; count++) expect((await from(`2001:db8::${count}`, 'a guess')).status).toBe(401)
    await asOwner(house.ownerUrl, (owner) =>
      owner.query(
        `insert into sign_in_attempts (subject, address) select subject, address
         from sign_in_attempts, generate_series(1, 9) where address = '2001:db8:0:0::/64'`,
      ),
    )
    const late = await from('2001:db8::99', platformAdmin.password)
    expect([late.status, Number(late.headers.get('retry-after')) > 0]).toEqual([429, true])
    expect((await from('2001:db8:1::1', platformAdmin.password)).status).toBe(303)
  })

  test('is not there where nobody is configured', async () => {
    const none = await house.another({ environment: { PLATFORM_ADMIN_EMAIL: '', PLATFORM_ADMIN_PASSWORD: '' } })
    for (const path of ['/admin/queues', '/admin/sign-in', '/admin/sign-out'])
      expect([path, (await fetch(`${none.url}${path}`, { redirect: 'manual' })).status]).toEqual([path, 404])
    expect((await signIn({ email: '', password: '' }, none.url)).status).toBe(404)
  })
})

describe.skipIf(!browserPath)(browserPath ? 'in a browser' : 'in a browser: none is installed here', () => {
  let browser: Browser
  let page: Page
  const problems: string[] = []
  const elsewhere: string[] = []

  beforeAll(async () => {
    browser = await openBrowser()
    page = await browser.newPage()
    page.on('pageerror', (error) => problems.push(String(error)))
    page.on('response', (response) => {
      if (new URL(response.url()).origin !== house.url) elsewhere.push(response.url())
    })
  })
  afterAll(() => browser?.close())

  test('the operator signs in, sees what failed, lets it begin anew, and signs out', async () => {
    printer.broken = true
    const tag = await house.alice.build('tag', { name: 'On fire' })
    await printed(olga, 'failed', tag.id)
    await page.goto(`${house.url}/admin/queues`)
    await page.getByLabel('Email').fill(platformAdmin.email)
    await page.getByLabel('Password').fill('not the password')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('alert').waitFor()
    await page.getByLabel('Email').fill(platformAdmin.email)
    await page.getByLabel('Password').fill(platformAdmin.password)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('reports').first().waitFor()
    await page.goto(`${house.url}/admin/queues/queue/reports?status=failed`)
    await page.getByText('the printer is on fire').first().waitFor()
    printer.broken = false
    // The buttons of a job have a sign and no name.
    const signs = page.locator('button:has(svg.lucide-refresh-cw)')
    await signs.filter({ hasNotText: 'Retry all' }).click()
    await page.getByRole('button', { name: 'Confirm' }).click()
    await printed(olga, 'completed', tag.id)
    await page.locator('button:has(svg.lucide-circle-user-round), button:has(svg.lucide-circle-user)').click()
    await page.getByText('Sign out').click()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Email').waitFor()
    await page.goto(`${house.url}/admin/queues`)
    await page.getByLabel('Email').waitFor()
    expect([problems, elsewhere]).toEqual([[], []])
  }, 60_000)
})

const get = (path: string, cookie = ''): Promise<Response> =>
  fetch(`${house.url}${path}`, { headers: { cookie }, redirect: 'manual' })

const change = (path: string, cookie: string, method = 'POST'): Promise<Response> =>
  fetch(`${house.url}${path}`, {
    method,
    headers: { cookie, origin: house.url, 'content-type': 'application/json' },
    body: '{}',
    redirect: 'manual',
  })

const signIn = (
  credentials: Record<string, string> = platformAdmin,
  url = house.url,
  headers: Record<string, string> = {},
): Promise<Response> =>
  fetch(`${url}/admin/sign-in`, {
    method: 'POST',
    headers: { origin: url, ...headers },
    body: new URLSearchParams(credentials),
    redirect: 'manual',
  })

const signedIn = async (): Promise<string> => (await signIn()).headers.get('set-cookie')?.split(';', 1)[0] ?? ''

async function paused(name: string): Promise<boolean> {
  const { data } = (await olga.get('/admin/jobs')).body
  return data.find(({ queue }: { queue: string }) => queue === name).paused
}
