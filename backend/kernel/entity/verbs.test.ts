import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'

let house: TestApp

beforeAll(async () => {
  house = await startTestApp()
})
afterAll(() => house.stop())

test.each(['archive', 'unarchive', 'restore', 'win', 'lose', 'reopen'])('a stale If-Match stops %s', async (verb) => {
  const deal = await house.alice.build('deal')
  expect((await house.alice.post(`/deals/${deal.id}/${verb}`, undefined, { 'if-match': 'bogus' })).status).not.toBe(200)
  const stale = await house.alice.post(`/deals/${deal.id}/${verb}`, undefined, { 'if-match': '"77"' })
  expect(stale.status).toBe(verb === 'reopen' ? 422 : 412)
  expect((await house.alice.get(`/deals/${deal.id}`)).body.version).toBe(1)
})

test('of many who win a deal at once one wins it', async () => {
  const deal = await house.alice.build('deal')
  const answers = await Promise.all(Array.from({ length: 8 }, () => house.alice.post(`/deals/${deal.id}/win`)))
  expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1)
  expect(answers.filter((answer) => answer.body.code === 'INVALID_TRANSITION')).toHaveLength(7)
})

test('a viewer may not restore, also when there is nothing to do', async () => {
  const deal = await house.alice.build('deal')
  const viewer = await house.join('Vera', 'viewer')
  expect((await viewer.post(`/deals/${deal.id}/restore`)).status).toBe(403)
  expect((await house.alice.post(`/deals/${deal.id}/restore`)).body.version).toBe(1)
})

test('a PUT without a currency takes what a create would, and without an owner leaves whose it is', async () => {
  const deal = await house.alice.build('deal', { currency: 'GBP', ownerId: house.bob.userId })
  const put = await house.alice.put(`/deals/${deal.id}`, { name: 'n', value: 7 })
  expect(put.body).toMatchObject({ value: 7, currency: 'USD', ownerId: house.bob.userId })
  expect((await house.alice.patch(`/deals/${deal.id}`, { currency: null })).status).toBe(400)
})

test('a failed operation of a bulk call is a whole problem', async () => {
  const { body } = await house.alice.post('/notes/bulk', { operations: [{ op: 'delete', id: crypto.randomUUID() }] })
  expect(body.results[0]).toMatchObject({
    status: 404,
    problem: {
      type: '/problems/not-found',
      title: 'Not found',
      status: 404,
      code: 'NOT_FOUND',
      instance: '/api/v1/notes/bulk',
    },
  })
})

test('tags, links and custom fields are filtered by what is not there, too', async () => {
  await house.alice.build('customField', { resource: 'task', key: 'region', label: 'Region', type: 'text' })
  const vip = await house.alice.build('task', {
    tags: ['vip'],
    assigneeIds: [house.bob.userId],
    customFields: { region: 'EMEA' },
  })
  const bare = await house.alice.build('task')
  const found = async (query: string): Promise<string[]> =>
    (await house.alice.get(`/tasks?${query}`)).body.data.map((task: { id: string }) => task.id)
  for (const has of [
    'tags=vip',
    'tags[contains]=VI',
    'tags[isNull]=false',
    'cf.region[startsWith]=em',
    'assigneeIds[isNull]=false',
  ]) {
    expect(await found(has), has).toEqual([vip.id])
  }
  for (const lacks of [
    'tags[ne]=vip',
    'tags[nin]=vip,x',
    'tags[isNull]=true',
    'cf.region[ne]=EMEA',
    'cf.region[isNull]=true',
    `assigneeIds[ne]=${house.bob.userId}`,
  ]) {
    expect(await found(lacks), lacks).toEqual([bare.id])
  }
})
