import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { password } from '../../test/cast.ts'
import { type Client, eventually } from '../../test/client.ts'
import { hold } from '../../test/hold.ts'
import { unique } from '../../test/operations/call.ts'
import { importTable } from '../../test/tables.ts'

let house: TestApp
let alice: Client
let bob: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob } = house)
})
afterAll(() => house.stop())

const permission = (resource: string, action: string, scope: string) => ({ resource, action, scope })

/** A member who has a role of the tenant's own. */
async function withRole(name: string, role: Record<string, unknown>, more: Record<string, unknown> = {}) {
  const made = await alice.post('/roles', { name, ...role })
  expect([name, made.status, made.body.errors]).toEqual([name, 201, undefined])
  return { role: made.body, who: await house.join(name, 'member', { roleId: made.body.id, ...more }) }
}

describe('a role of the tenant’s own', () => {
  test('grants what it says and nothing else', async () => {
    const { who, role } = await withRole('Researcher', {
      permissions: [
        permission('contact', 'read', 'own'),
        permission('contact', 'create', 'all'),
        permission('contact', 'update', 'own'),
        permission('company', 'read', 'all'),
      ],
    })
    const mine = await who.build('contact', { lastName: 'Mine' })
    const other = await alice.build('contact', { lastName: 'Other' })
    expect((await who.get('/contacts')).body.data.map(({ id }: { id: string }) => id)).toEqual([mine.id])
    expect((await who.get(`/contacts/${other.id}`)).status).toBe(404)
    expect((await who.patch(`/contacts/${mine.id}`, { jobTitle: 'Chief' })).status).toBe(200)
    expect((await who.delete(`/contacts/${mine.id}`)).status).toBe(403)
    expect((await who.get('/companies')).status).toBe(200)
    expect((await who.post('/companies', { name: 'No' })).status).toBe(403)
    expect((await who.get('/deals')).body.data).toEqual([])
    expect((await who.get('/pipelines')).status).toBe(200)
    const { permissions } = (await who.get('/auth/me')).body
    const of = (resource: string) => permissions.filter((one: { resource: string }) => one.resource === resource)
    expect(of('contact')).toEqual([
      permission('contact', 'read', 'own'),
      permission('contact', 'create', 'all'),
      permission('contact', 'update', 'own'),
    ])
    expect(of('deal')).toEqual([])
    await alice.patch(`/roles/${role.id}`, { permissions: [permission('contact', 'read', 'all')] })
    expect((await who.get(`/contacts/${other.id}`)).status).toBe(200)
    expect((await who.patch(`/contacts/${mine.id}`, { jobTitle: 'Lead' })).status).toBe(403)
  })

  test('lets everybody see who he is himself, whatever it says of users', async () => {
    const { who } = await withRole('Recluse', { permissions: [permission('user', 'read', 'own')] })
    expect((await who.get('/users')).body.data).toEqual([])
    const { status, body } = await who.get('/auth/me')
    expect([status, body.user?.id]).toEqual([200, who.userId])
    expect((await who.patch('/auth/me', { name: 'Hermit' })).body.user?.name).toBe('Hermit')
  })

  test('reaches the team where it says so', async () => {
    const { who } = await withRole('Coach', { permissions: [permission('deal', 'read', 'team')] })
    const report = await house.join('Trainee', 'member', { managerId: who.userId })
    const theirs = await report.build('deal')
    const others = await alice.build('deal')
    expect((await who.get(`/deals/${theirs.id}`)).status).toBe(200)
    expect((await who.get(`/deals/${others.id}`)).status).toBe(404)
  })

  test.each([
    ['own', [201, 403, 403]],
    ['team', [201, 201, 403]],
    ['all', [201, 201, 201]],
  ])('creates for whom its scope says, by every way: %s', async (scope, expected) => {
    const permissions = ['contact', 'task', 'note', 'lead'].flatMap((resource) => [
      permission(resource, 'create', scope),
      permission(resource, 'read', 'all'),
      permission(resource, 'update', 'all'),
    ])
    const { who } = await withRole(unique('Maker'), { permissions })
    const report = await house.join('Report', 'member', { managerId: who.userId })
    const owners = [who.userId, report.userId, alice.userId]
    const statuses = (make: (ownerId: string) => Promise<number>) => Promise.all(owners.map(make))
    const ways: [string, (ownerId: string) => Promise<number>][] = [
      ['create', async (ownerId) => (await who.post('/contacts', { lastName: 'Made', ownerId })).status],
      [
        'keyed',
        async (ownerId) =>
          (await who.post('/contacts', { lastName: 'Made', ownerId }, { 'Idempotency-Key': unique('key') })).status,
      ],
      [
        'upsert',
        async (ownerId) =>
          (await who.put(`/contacts/by-external-id/${unique('key')}`, { lastName: 'Made', ownerId })).status,
      ],
      [
        'bulk',
        async (ownerId) => {
          const operations = [{ op: 'create', data: { lastName: 'Made', ownerId } }]
          return (await who.post('/contacts/bulk', { operations })).body.results[0].status
        },
      ],
      ['assigned', async (id) => (await who.post('/tasks', { title: 'Do', assigneeIds: [id] })).status],
      [
        'converted',
        async (ownerId) => {
          const { id } = await alice.build('lead', { ownerId, companyName: null })
          const { status } = await who.post(`/leads/${id}/convert`, { duplicates: 'ignore' })
          return status === 200 ? 201 : status
        },
      ],
    ]
    for (const [way, make] of ways) expect([way, await statuses(make)]).toEqual([way, expected])
    // Among others in one call each is answered for itself, and so is each row of a table.
    const operations = owners.map((ownerId) => ({ op: 'create', data: { lastName: 'Many', ownerId } }))
    const { results } = (await who.post('/contacts/bulk', { operations })).body
    expect(results.map(({ status }: { status: number }) => status)).toEqual(expected)
    const emails = [who.email, report.email, alice.email]
    const table = `lastName,owner.email\n${emails.map((email) => `Row,${email}`).join('\n')}\n`
    const created = expected.filter((status) => status === 201).length
    expect(await importTable(who, table, { resource: 'contacts' })).toMatchObject({ created, failed: 3 - created })
    // What nobody owns is his who made it.
    expect((await who.post('/contacts', { lastName: 'Mine' })).status).toBe(201)
    expect((await who.post('/contacts', { lastName: 'Nobody’s', ownerId: null })).status).toBe(201)
    expect((await who.post('/notes', { body: 'Mine' })).status).toBe(201)
  })

  test('tells by no verb of what one may not read, or not change', async () => {
    const all = (action: string, scope: string) =>
      ['deal', 'task', 'lead'].map((resource) => permission(resource, action, scope))
    const blind = (await withRole(unique('Blind'), { permissions: [...all('read', 'own'), ...all('update', 'own')] }))
      .who
    const reader = (await withRole(unique('Reader'), { permissions: [...all('read', 'all'), ...all('update', 'own')] }))
      .who
    const won = await alice.build('deal')
    await alice.post(`/deals/${won.id}/win`)
    const open = await alice.build('deal')
    const line = (await alice.post(`/deals/${won.id}/line-items`, { name: 'Engine', unitPrice: 1 })).body
    const { stages } = (await alice.get(`/pipelines/${won.pipelineId}`)).body
    const done = await alice.build('task', { status: 'completed' })
    const task = await alice.build('task', { checklist: [{ id: 'call', text: 'Call' }] })
    const lead = await alice.build('lead', { companyName: null })
    await alice.post(`/leads/${lead.id}/convert`, { duplicates: 'ignore' })
    const calls: [string, string, unknown?][] = [
      ['POST', `/deals/${won.id}/win`],
      ['POST', `/deals/${open.id}/reopen`],
      ['POST', `/deals/${won.id}/lose`, { reason: 'no' }],
      ['POST', `/deals/${won.id}/move`, { stageId: stages[0].id }],
      ['POST', `/deals/${won.id}/line-items`, { name: 'More', unitPrice: 1 }],
      ['PATCH', `/deals/${won.id}/line-items/${line.id}`, { currency: 'EUR' }],
      ['DELETE', `/deals/${won.id}/line-items/${line.id}`],
      ['POST', `/tasks/${done.id}/complete`],
      ['POST', `/tasks/${done.id}/complete`, { subtasks: 'complete' }],
      ['POST', `/tasks/${task.id}/reopen`],
      ['PATCH', `/tasks/${task.id}/checklist/none`, { done: true }],
      ['POST', `/tasks/${task.id}/assign`, { userIds: [alice.userId] }],
      ['POST', `/leads/${lead.id}/convert`],
      ['POST', `/leads/${lead.id}/merge`, { fromIds: [randomUUID()] }],
      ['POST', `/leads/${lead.id}/unmerge`],
      ['POST', `/deals/${won.id}/restore`],
    ]
    const told = async (who: Client) => {
      const statuses = []
      for (const [method, path, body] of calls) {
        const headers = body === undefined ? {} : { 'content-type': 'application/json' }
        const { status } = await who.raw(method, path, body === undefined ? undefined : JSON.stringify(body), headers)
        statuses.push(`${method} ${path} ${status}`)
      }
      return statuses
    }
    const all404 = calls.map(([method, path]) => `${method} ${path} 404`)
    expect(await told(blind)).toEqual(all404)
    // Which records are to be merged is asked before whether they may be changed.
    const all403 = calls.map(([method, path]) => `${method} ${path} ${path.endsWith('/merge') ? 400 : 403}`)
    expect(await told(reader)).toEqual(all403)
  })

  test('completes with a task what one sees below it', async () => {
    const own = ['read', 'create', 'update'].map((action) => permission('task', action, 'own'))
    const { who } = await withRole(unique('Doer'), { permissions: own })
    const task = await who.build('task')
    const seen = await who.build('task', { parentId: task.id })
    const unseen = await alice.build('task', { parentId: task.id, assigneeIds: [alice.userId] })
    expect((await who.post(`/tasks/${task.id}/complete`, { subtasks: 'complete' })).status).toBe(200)
    expect((await who.get(`/tasks/${seen.id}`)).body.status).toBe('completed')
    expect((await alice.get(`/tasks/${unseen.id}`)).body.status).toBe('open')
  })

  test.each([
    [{ permissions: [permission('starship', 'read', 'all')] }, 'permissions.0.resource'],
    [{ permissions: [permission('contact', 'fly', 'all')] }, 'permissions.0.action'],
    [{ permissions: [permission('contact', 'read', 'galaxy')] }, 'permissions.0.scope'],
    [{ permissions: [permission('user', 'update', 'all')] }, 'permissions.0'],
    [{ permissions: [permission('role', 'create', 'all')] }, 'permissions.0'],
    [{ fieldRules: [{ resource: 'contact', field: 'wings', rule: 'hidden' }] }, 'fieldRules.0.field'],
    [{ fieldRules: [{ resource: 'contact', field: 'name', rule: 'hidden' }] }, 'fieldRules.0.field'],
    [{ fieldRules: [{ resource: 'deal', field: 'ownerId', rule: 'hidden' }] }, 'fieldRules.0.field'],
    [{ fieldRules: [{ resource: 'deal', field: 'value', rule: 'blurred' }] }, 'fieldRules.0.rule'],
  ])('is refused with %j', async (role, path) => {
    const answer = await alice.post('/roles', { name: 'Wrong', ...role })
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, path])
  })

  test('is made, changed and given by administrators only, and never to one who has all rights', async () => {
    const { role } = await withRole('Intern', { permissions: [] })
    expect((await bob.post('/roles', { name: 'Mine' })).status).toBe(403)
    expect((await bob.patch(`/roles/${role.id}`, { name: 'Ours' })).status).toBe(403)
    expect((await bob.get('/roles')).status).toBe(200)
    expect((await bob.patch(`/users/${bob.userId}`, { roleId: null })).status).toBe(403)
    expect((await house.charlie.get(`/roles/${role.id}`)).status).toBe(404)
    const foreign = await house.charlie.build('role', { name: 'Foreign' })
    const owner = await alice.patch(`/users/${alice.userId}`, { roleId: role.id })
    expect([owner.status, owner.body.errors?.[0]?.path]).toEqual([400, 'roleId'])
    const stranger = await alice.patch(`/users/${bob.userId}`, { roleId: foreign.id })
    expect([stranger.status, stranger.body.errors?.[0]?.path]).toEqual([400, 'roleId'])
    const promoted = await house.join('Climber', 'member', { roleId: role.id })
    const climbed = await alice.patch(`/users/${promoted.userId}`, { role: 'admin' })
    expect([climbed.status, climbed.body.errors?.[0]?.path]).toEqual([400, 'roleId'])
    expect((await alice.patch(`/users/${promoted.userId}`, { role: 'admin', roleId: null })).status).toBe(200)
  })

  test.each(['owner', 'admin'])('makes no %s less, whichever way he comes', async (mighty) => {
    const { id: roleId } = await alice.build('role', { name: `Narrow ${mighty}` })
    const email = () => `${randomUUID()}@example.com`
    const refused = [
      await alice.post('/users', { name: 'Grace', email: email(), role: mighty, roleId }),
      await alice.post('/users', { name: 'Grace', email: email(), role: mighty, roleId, password }),
      await alice.post('/invitations', { email: email(), role: mighty, roleId }),
    ]
    expect(refused.map(({ status, body }) => [status, body.errors?.[0]?.path])).toEqual(
      refused.map(() => [400, 'roleId']),
    )
    const table = `name,email,role\nGrace,${email()},${mighty}\n`
    expect(await importTable(alice, table, { resource: 'users', defaults: { roleId } })).toMatchObject({ failed: 1 })
    expect((await alice.get(`/users?role=${mighty}&roleId=${roleId}`)).body.data).toEqual([])
  })

  test('is deleted only when nobody has it', async () => {
    const { role, who } = await withRole('Seasonal', { permissions: [] })
    const held = await alice.delete(`/roles/${role.id}`)
    expect([held.status, held.body.code]).toEqual([422, 'ROLE_IN_USE'])
    await alice.patch(`/users/${who.userId}`, { roleId: null })
    expect((await alice.delete(`/roles/${role.id}`)).status).toBe(204)
    expect((await who.patch('/auth/me', { name: 'Back' })).status).toBe(200)
  })

  test('is held by who is invited to it', async () => {
    const role = await alice.build('role', { name: 'Promised' })
    const asked = await alice.post('/invitations', { email: 'promised@example.com', roleId: role.id })
    const held = await alice.delete(`/roles/${role.id}`)
    expect([held.status, held.body.code]).toEqual([422, 'ROLE_IN_USE'])
    await alice.delete(`/invitations/${asked.body.id}`)
    expect((await alice.delete(`/roles/${role.id}`)).status).toBe(204)
    const late = await alice.post('/invitations', { email: 'late@example.com', roleId: role.id })
    expect([late.status, late.body.errors[0].path]).toEqual([400, 'roleId'])
  })

  test.each([
    ['given', () => alice.patch(`/users/${bob.userId}`, { roleId: going })],
    ['promised', () => alice.post('/invitations', { email: 'soon@example.com', roleId: going })],
  ])('is not %s while it goes', async (_how, assign) => {
    going = (await alice.build('role', { name: 'Going' })).id
    const held = await hold(house.ownerUrl, 'update roles set deleted_at = now() where id = $1', [going])
    const assigned = assign()
    await held.until(1, assigned)
    await held.release()
    expect(await assigned).toMatchObject({ status: 400, body: { errors: [{ path: 'roleId' }] } })
  })

  test('that is gone all the same leaves no rights, and not those of a member', async () => {
    const { who, role } = await withRole('Lost', { permissions: [permission('contact', 'read', 'all')] })
    await asOwner(house.ownerUrl, (owner) =>
      owner.query('update roles set deleted_at = now() where id = $1', [role.id]),
    )
    await eventually(async () => (await who.get('/contacts')).body.data.length === 0, 'the loss of the role')
    expect((await who.post('/contacts', { lastName: 'Mine' })).status).toBe(403)
    const query = `userId=${who.userId}&type=contact&action=create`
    expect((await alice.get(`/access/explain?${query}`)).body.allowed).toBe(false)
  })
})

let going = ''
