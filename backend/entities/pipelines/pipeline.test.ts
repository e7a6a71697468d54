import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'

let house: TestApp
let alice: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice } = house)
})
afterAll(() => house.stop())

interface Stage {
  readonly id: string
  readonly name: string
  readonly kind: string
}
const stagesOf = (record: Record<string, unknown>) => record.stages as Stage[]

test('registration makes a default pipeline with open, won and lost stages', async () => {
  const dave = await house.found('New', 'Dave')
  const { body } = await dave.get('/pipelines')
  expect(body.data).toHaveLength(1)
  expect(body.data[0]).toMatchObject({ isDefault: true, version: 1 })
  expect(new Set(stagesOf(body.data[0]).map((stage) => stage.kind))).toEqual(new Set(['open', 'won', 'lost']))
})

describe('stages', () => {
  test('take their place, kind and probability unless they say so', async () => {
    const answer = await alice.post('/pipelines', {
      name: 'Defaults',
      stages: [
        { name: ' First ' },
        { name: 'Won', kind: 'won' },
        { name: 'Lost', kind: 'lost', order: 9 },
        { name: 'Mid', order: 0, probability: 33, rottingDays: 7 },
      ],
    })
    expect(answer.status).toBe(201)
    expect(answer.headers.get('location')).toBe(`/api/v1/pipelines/${answer.body.id}`)
    const id = expect.any(String)
    expect(answer.body.stages).toEqual([
      { id, name: 'Mid', kind: 'open', probability: 33, order: 0, rottingDays: 7 },
      { id, name: 'First', kind: 'open', probability: 0, order: 1, rottingDays: null },
      { id, name: 'Won', kind: 'won', probability: 100, order: 2, rottingDays: null },
      { id, name: 'Lost', kind: 'lost', probability: 0, order: 9, rottingDays: null },
    ])
  })

  test.each([
    [{ name: 'x' }, 'stages'],
    [{ name: 'x', stages: [] }, 'stages'],
    [{ name: 'x', stages: [{ name: 'Won', kind: 'won' }] }, 'stages'],
    [{ name: 'x', stages: [{ name: '' }] }, 'stages.0.name'],
    [{ name: 'x', stages: [{ name: 'a', kind: 'maybe' }] }, 'stages.0.kind'],
    [{ name: 'x', stages: [{ name: 'a', probability: 101 }] }, 'stages.0.probability'],
    [{ name: 'x', stages: [{ name: 'a', colour: 'red' }] }, 'stages.0.colour'],
    [{ name: 'x', stages: [{ id: '01900000-0000-7000-8000-000000000000', name: 'a' }] }, 'stages.0.id'],
    [{ stages: [{ name: 'a' }] }, 'name'],
    [{ name: 'x', externalId: ' ', stages: [{ name: 'a' }] }, 'externalId'],
  ])('%j is 400', async (body, path) => {
    const answer = await alice.post('/pipelines', body)
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, path])
  })

  test('are renamed, added, moved and removed by sending the whole list', async () => {
    const made = await alice.build('pipeline', { name: 'Whole' })
    const [open, won] = stagesOf(made)
    const stages = [{ name: 'New' }, { ...open, name: 'Renamed', order: undefined }, { ...won, order: undefined }]
    const { status, body } = await alice.patch(`/pipelines/${made.id}`, { stages })
    expect([status, body.version]).toEqual([200, 2])
    expect(stagesOf(body).map(({ name, kind }) => [name, kind])).toEqual([
      ['New', 'open'],
      ['Renamed', 'open'],
      ['Won', 'won'],
    ])
    expect(stagesOf(body)[1]?.id).toBe(open?.id)
    expect((await alice.patch(`/pipelines/${made.id}`, body)).body).toEqual(body)
    const foreign = (await house.charlie.get('/pipelines')).body.data[0].stages
    expect((await alice.patch(`/pipelines/${made.id}`, { stages: foreign })).status).toBe(400)
  })

  test('that hold deals neither go nor change their kind', async () => {
    const made = await alice.build('pipeline', { name: 'Held' })
    await alice.build('deal', { pipelineId: made.id })
    const [open, won, lost] = stagesOf(made)
    for (const stages of [
      [{ name: 'Other' }, won, lost],
      [{ ...open, kind: 'won' }, { name: 'Other' }],
    ]) {
      const answer = await alice.patch(`/pipelines/${made.id}`, { stages })
      expect([answer.status, answer.body.code]).toEqual([422, 'STAGE_IN_USE'])
    }
    expect((await alice.get(`/pipelines/${made.id}`)).body).toEqual(made)
  })
})

describe('a pipeline', () => {
  test('honours names, versions and preconditions', async () => {
    const made = await alice.build('pipeline', { name: 'Taken' })
    const twice = await alice.post('/pipelines', { name: 'Taken', stages: [{ name: 'a' }] })
    expect(twice.body).toMatchObject({ status: 409, code: 'DUPLICATE', errors: [{ path: 'name' }] })
    const at = `/pipelines/${made.id}`
    expect((await alice.patch(at, { name: 'Stale' }, { 'If-Match': '"7"' })).status).toBe(412)
    expect((await alice.delete(at, undefined, { 'If-Match': '"7"' })).status).toBe(412)
    expect((await alice.patch(at, { version: 9 })).body.errors[0].path).toBe('version')
    expect((await alice.patch(at, { name: 'Taken' })).body.version).toBe(1)
    expect((await alice.patch(at, { name: 'Renamed' }, { 'If-Match': '"1"' })).body.version).toBe(2)
  })

  test('becomes the default in place of the other, which tells of it too', async () => {
    const dave = await house.found('Defaults', 'Dave')
    const old = (await dave.get('/pipelines')).body.data[0]
    const made = await dave.build('pipeline', { isDefault: true })
    expect((await dave.get('/pipelines?isDefault=true')).body.data.map((one: { id: string }) => one.id)).toEqual([
      made.id,
    ])
    expect((await dave.build('deal')).pipelineId).toBe(made.id)
    expect((await dave.get(`/pipelines/${old.id}`)).body).toMatchObject({ isDefault: false, version: 2 })
    expect((await dave.patch(`/pipelines/${old.id}`, { isDefault: true })).body).toMatchObject({
      isDefault: true,
      version: 3,
    })
    const refused = await dave.patch(`/pipelines/${old.id}`, { isDefault: false })
    expect([refused.status, refused.body.code]).toEqual([422, 'DEFAULT_PIPELINE'])
    const logged = await asOwner(house.ownerUrl, async (client) => {
      const { rows } = await client.query(
        'select record_id, version from events where record_id = any($1) order by version',
        [[old.id, made.id]],
      )
      return (id: string) => rows.filter((row) => row.record_id === id).map((row) => row.version)
    })
    expect([logged(old.id), logged(made.id)]).toEqual([
      [1, 2, 3],
      [1, 2],
    ])
  })

  test('is deleted when it is not the default and holds no deals', async () => {
    const made = await alice.build('pipeline', { name: 'Doomed' })
    const deal = await alice.build('deal', { pipelineId: made.id })
    const held = await alice.delete(`/pipelines/${made.id}`)
    expect([held.status, held.body.code]).toEqual([422, 'PIPELINE_IN_USE'])
    const { body } = await alice.get('/pipelines?isDefault=true')
    expect((await alice.delete(`/pipelines/${body.data[0].id}`)).body.code).toBe('DEFAULT_PIPELINE')
    await alice.patch(`/deals/${deal.id}`, { pipelineId: body.data[0].id })
    expect((await alice.delete(`/pipelines/${made.id}`)).status).toBe(204)
    expect((await alice.get(`/pipelines/${made.id}`)).status).toBe(404)
    expect((await alice.post('/pipelines', { name: 'Doomed', stages: [{ name: 'a' }] })).status).toBe(201)
  })

  test('is made by admins, read by members, unknown to others', async () => {
    const made = await alice.build('pipeline', { name: 'Rights' })
    const { bob, charlie, nobody } = house
    const at = `/pipelines/${made.id}`
    expect((await bob.get(at)).status).toBe(200)
    expect((await bob.post('/pipelines', { name: 'x', stages: [{ name: 'a' }] })).status).toBe(403)
    expect([(await bob.patch(at, { name: 'x' })).status, (await bob.delete(at)).status]).toEqual([403, 403])
    for (const answer of [await charlie.get(at), await charlie.patch(at, { name: 'x' }), await charlie.delete(at)])
      expect(answer.status).toBe(404)
    expect((await nobody.get('/pipelines')).status).toBe(401)
  })
})
