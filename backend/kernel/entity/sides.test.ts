import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'
import { holdRow } from '../../test/hold.ts'

let house: TestApp
let alice: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice } = house)
  await alice.build('customField', { resource: 'task', key: 'colours', type: 'multiselect', options: ['red', 'blue'] })
})
afterAll(() => house.stop())

test('two changes of what a record has several of leave the filters with what it holds in the end', async () => {
  const [ada, ben] = [await alice.build('contact'), await alice.build('contact')]
  const { id } = await alice.build('task', { tags: ['first'] })
  const wanted = [
    {
      tags: ['a'],
      assigneeIds: [alice.userId],
      related: [{ type: 'contact', id: ada.id }],
      customFields: { colours: ['red', 'blue'] },
    },
    {
      tags: ['b'],
      assigneeIds: [house.bob.userId],
      related: [{ type: 'contact', id: ben.id }],
      customFields: { colours: ['blue'] },
    },
  ]
  const held = await holdRow(house.ownerUrl, 'tasks', id)
  const changes = wanted.map((values) => alice.patch(`/tasks/${id}`, values))
  await held.until(2)
  await held.release()
  for (const { status } of await Promise.all(changes)) expect(status).toBe(200)
  const { body: task } = await alice.get(`/tasks/${id}`)
  const found = async (filter: string) => (await alice.get(`/tasks?${filter}`)).body.data.length === 1
  for (const tag of ['a', 'b']) expect([tag, await found(`tags=${tag}`)]).toEqual([tag, task.tags.includes(tag)])
  for (const userId of [alice.userId, house.bob.userId])
    expect(await found(`assigneeIds=${userId}`)).toBe(task.assigneeIds.includes(userId))
  for (const contact of [ada, ben]) expect(await found(`related=${contact.id}`)).toBe(task.related[0].id === contact.id)
  for (const colour of ['red', 'blue'])
    expect([colour, await found(`cf.colours=${colour}`)]).toEqual([colour, task.customFields.colours.includes(colour)])
  expect(await found('tags=first')).toBe(false)
})
