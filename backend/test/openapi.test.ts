import { Validator } from '@seriousme/openapi-schema-validator'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from './app.ts'
import { documentOf } from './openapi-check.ts'

let house: TestApp
let document: Awaited<ReturnType<typeof documentOf>>

beforeAll(async () => {
  house = await startTestApp()
  document = await documentOf(house.url)
})
afterAll(() => house.stop())

test('the document is OpenAPI 3.1', async () => {
  const validator = new Validator()
  const result = await validator.validate(JSON.parse(JSON.stringify(document)))
  expect(result.errors).toBeUndefined()
  expect(result.valid).toBe(true)
  expect(validator.version).toBe('3.1')
})

test('every route is in it, and nothing else', () => {
  const routes = house.app.routes.map(({ method, path, outside }) => `${method} ${outside ? '' : '/api/v1'}${path}`)
  expect(
    listed()
      .map(({ method, path }) => `${method} ${path}`)
      .sort(),
  ).toEqual(routes.sort())
})

test('no two operations share an id', () => {
  const ids = listed().map(({ operation }) => operation.operationId)
  expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([])
})

test('the schemas of records come with an example', () => {
  const schemas = document.components.schemas
  for (const name of ['Contact', 'Company', 'Deal', 'Task', 'Note', 'Pipeline', 'Tag', 'CustomField', 'Team', 'User'])
    expect([name, schemas[name]?.example ?? schemas[name]?.examples]).toEqual([name, expect.anything()])
})

test('the reference page and all its files come from here', async () => {
  const page = await fetch(`${house.url}/docs/`)
  const html = await page.text()
  expect([page.status, page.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/html')])
  const files = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file]) => file ?? '')
  expect(files.length).toBeGreaterThan(3)
  for (const file of files) {
    expect(new URL(file, page.url).origin).toBe(house.url)
    expect([file, (await fetch(new URL(file, page.url))).status]).toEqual([file, 200])
  }
  expect(html).not.toMatch(/https?:\/\//)
  expect(page.headers.get('content-security-policy')).toContain("default-src 'self'")
  const initializer = await (await fetch(`${house.url}/docs/swagger-initializer.js`)).text()
  expect(initializer).toContain("url: '/openapi.json'")
  expect(initializer).not.toMatch(/https?:\/\//)
})

const methods = ['get', 'post', 'put', 'patch', 'delete'] as const

function listed() {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    methods.flatMap((method) => (item[method] ? [{ path, method, operation: item[method] }] : [])),
  )
}
