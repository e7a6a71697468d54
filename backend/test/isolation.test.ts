import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { roleUrl } from '../kernel/db/roles.ts'
import { asOwner, startTestApp, type TestApp } from './app.ts'
import { eventually, paths } from './client.ts'
import { importTable } from './tables.ts'

let house: TestApp
let app: pg.Client

beforeAll(async () => {
  house = await startTestApp()
  app = new pg.Client({ connectionString: roleUrl(house.ownerUrl, 'clientforge_app') })
  await app.connect()
})
afterAll(async () => {
  await app?.end()
  await house?.stop()
})

describe('the catalogue of the database', () => {
  test('every table of tenants has row-level security and a policy that names the tenant', async () => {
    const tables = await look(`
      select t.name, c.relrowsecurity as secured,
        coalesce((select string_agg(pg_get_expr(p.polqual, p.polrelid), ' and ') from pg_policy p
          where p.polrelid = c.oid and 'clientforge_app'::regrole = any (p.polroles)), 'none') as seen,
        (select string_agg(pg_get_expr(p.polwithcheck, p.polrelid), ' and ') from pg_policy p
          where p.polrelid = c.oid and 'clientforge_app'::regrole = any (p.polroles)) as written,
        exists (select 1 from pg_policy p where p.polrelid = c.oid and p.polroles = '{0}') as everybody,
        has_any_column_privilege('clientforge_app', c.oid, 'select, insert, update') as reached, t.key
      from (${tenantTables}) t join pg_class c on c.oid = t.oid where not c.relispartition order by 1`)
    expect(tables.map(({ name }) => name)).toEqual(expect.arrayContaining(['tenants', 'deals', 'events', 'activities']))
    for (const table of tables) {
      const mine = `(${table.key} = (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid)`
      expect(table).toMatchObject({ secured: true, everybody: false })
      if (table.reached) expect(table).toMatchObject({ seen: mine, written: mine })
    }
  })

  test('what the application reaches and is no tenant’s, is nothing', async () => {
    expect(
      await look(`
        select c.relname from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f') and c.oid not in (select oid from (${tenantTables}) t)
          and has_any_column_privilege('clientforge_app', c.oid, 'select, insert, update, references')`),
    ).toEqual([])
  })

  test('our roles own no table, are no superusers and bypass nothing', async () => {
    const roles = await look(`
      select rolname as role, rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication as mighty,
        array(select c.relname::text from pg_class c where c.relowner = r.oid and c.relkind in ('r', 'p', 'v', 'm', 'S')
          and c.relnamespace = 'public'::regnamespace) as owned,
        array(select g.rolname::text from pg_auth_members m join pg_roles g on g.oid = m.roleid where m.member = r.oid) as "memberOf"
      from pg_roles r where rolname in ('clientforge_app', 'clientforge_search', 'clientforge_worker') order by 1`)
    expect(roles).toEqual(
      ['app', 'search', 'worker'].map((kind) => ({
        role: `clientforge_${kind}`,
        mighty: false,
        owned: [],
        memberOf: [],
      })),
    )
  })

  test('nobody of ours may truncate, and partitions are reached through their parents only', async () => {
    expect(
      await look(`
        select c.relname, r.rolname, a.privilege_type from pg_class c cross join lateral aclexplode(c.relacl) a
        left join pg_roles r on r.oid = a.grantee
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and a.grantee <> c.relowner
          and (a.privilege_type in ('TRUNCATE', 'TRIGGER', 'REFERENCES', 'MAINTAIN') or c.relispartition or a.grantee = 0)`),
    ).toEqual([])
  })

  test('a function that runs as its owner has a fixed path and is not the public’s', async () => {
    const functions = await look(`
      select p.proname as name, coalesce(array_to_string(p.proconfig, ' '), '') as settings,
        exists (select 1 from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0) as everybodys
      from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prosecdef`)
    expect(functions.length).toBeGreaterThan(5)
    for (const each of functions) {
      expect(each).toMatchObject({ everybodys: false })
      expect([each.name, each.settings]).toEqual([
        each.name,
        expect.stringMatching(/search_path=pg_catalog, public, pg_temp/),
      ])
    }
  })

  test('every primary key of a tenant’s table begins with the tenant, and every foreign key holds it', async () => {
    const keys = await look(`
      select t.name, con.conname as "constraint", con.contype::text as kind,
        array(select a.attname::text from unnest(con.conkey) with ordinality k(num, place) join pg_attribute a on a.attrelid = con.conrelid and a.attnum = k.num order by place) as columns,
        array(select a.attname::text from unnest(con.confkey) with ordinality k(num, place) join pg_attribute a on a.attrelid = con.confrelid and a.attnum = k.num order by place) as target,
        array(select a.attname::text from unnest(con.confdelsetcols) d(num) join pg_attribute a on a.attrelid = con.conrelid and a.attnum = d.num) as "setNull",
        con.confdeltype::text as "onDelete"
      from (${tenantTables}) t join pg_constraint con on con.conrelid = t.oid
      where t.key = 'tenant_id' and (con.contype = 'p' or con.contype = 'f' and con.confrelid in (select oid from (${tenantTables}) o where o.key = 'tenant_id'))`)
    expect(keys.length).toBeGreaterThan(20)
    for (const key of keys) {
      expect([key.constraint, key.columns[0]]).toEqual([key.constraint, 'tenant_id'])
      if (key.kind === 'f') expect([key.constraint, key.target[0]]).toEqual([key.constraint, 'tenant_id'])
      // Without a list of columns it would null the tenant.
      if (key.onDelete === 'n') expect(key.setNull).toEqual(key.columns.slice(1))
    }
    const tables = (await look(`select name from (${tenantTables}) t where key = 'tenant_id'`)).map(({ name }) => name)
    expect(
      keys
        .filter(({ kind }) => kind === 'p')
        .map(({ name }) => name)
        .sort(),
    ).toEqual(tables.sort())
  })
})

describe('the application’s role', () => {
  beforeAll(async () => {
    for (const who of [house.alice, house.charlie]) {
      const made: Record<string, Record<string, unknown>> = {}
      for (const type of Object.keys(paths)) made[type] = await who.build(type)
      const customFields = { [String(made.customField?.key)]: 'EMEA' }
      await who.build('deal', { contactIds: [made.contact?.id], tags: ['vip'], customFields })
      await who.build('task', { assigneeIds: [who.userId] })
      await importTable(who, 'name,parent.name\nOne,Two\nTwo,\n,One\n', { resource: 'companies' })
      await who.post('/exports', { resource: 'companies', format: 'csv' })
      const comment = await who.post(`/notes/${made.note?.id}/comments`, { body: 'Well' })
      await who.patch(`/comments/${comment.body.id}`, { body: 'Well, well' })
      await who.post(`/deals/${made.deal?.id}/line-items`, { name: 'Engine', unitPrice: 1 })
      await who.post('/api-keys', { name: 'Sync', scopes: ['contact:read'] })
      await who.put(`/contacts/${made.contact?.id}/shares`, { shares: [{ userId: who.userId, access: 'read' }] })
      const left = await who.post('/users', { name: 'Left', email: `${randomUUID()}@example.com` })
      await who.post(`/users/${left.body.id}/deactivate`, { handOverTo: who.userId })
      await who.build('interaction', { participants: [{ type: 'contact', id: made.contact?.id }] })
    }
    const twins = [(await house.alice.build('contact')).id, (await house.alice.build('contact')).id]
    await house.alice.post('/contacts/duplicates/dismiss', { ids: twins })
    await house.alice.post(`/contacts/${twins[0]}/merge`, { fromIds: [twins[1]] })
    // These need a provider; what its tests see of them is beside it.
    await asOwner(house.ownerUrl, async (owner) => {
      const { tenantId, userId } = house.alice
      await owner.query(`insert into openid_identities values ($1, 'https://issuer.example', 'alice', $2)`, [
        tenantId,
        userId,
      ])
      await owner.query(`insert into openid_codes values ($1, 'hash', $2, null, now())`, [tenantId, userId])
    })
    await house.alice.post('/notes', { body: 'Once' }, { 'Idempotency-Key': 'once' })
  })

  test('sees nothing without a tenant, and nothing of others with one', async () => {
    for (const { name, key } of await reachable('select')) {
      const count = async (tenant: string, rows: string) => {
        await app.query("select set_config('app.tenant_id', $1, false)", [tenant])
        return (await app.query(`select count(*)::integer as count from ${name} where ${rows}`)).rows[0].count
      }
      expect([name, await count('', 'true')]).toEqual([name, 0])
      expect([name, await count(house.alice.tenantId, `${key} <> '${house.alice.tenantId}'`)]).toEqual([name, 0])
      expect([name, await count(randomUUID(), 'true')]).toEqual([name, 0])
    }
    const own = await app.query("select set_config('app.tenant_id', $1, false)", [house.alice.tenantId])
    expect(own.rowCount).toBe(1)
    expect((await app.query('select 1 from deals')).rowCount).toBe(2)
  })

  test('cannot change, take away, add or move what is another’s', async () => {
    const { alice, charlie } = house
    await app.query("select set_config('app.tenant_id', $1, false)", [charlie.tenantId])
    for (const { name, key } of await reachable('update')) {
      const touched = await app.query(`update ${name} set ${key} = ${key} where ${key} = $1`, [alice.tenantId])
      expect([name, touched.rowCount]).toEqual([name, 0])
      const own = (await app.query(`select 1 from ${name}`)).rowCount ?? 0
      if (own === 0 || name === 'tenants') continue
      const move = app.query(`update ${name} set ${key} = $1`, [alice.tenantId])
      await expect(move, `${name} moved`).rejects.toMatchObject({ code: '42501' })
    }
    for (const { name, key } of await reachable('delete'))
      expect([name, (await app.query(`delete from ${name} where ${key} = $1`, [alice.tenantId])).rowCount]).toEqual([
        name,
        0,
      ])
    for (const { name, key } of await reachable('insert')) {
      const [row] = await look(
        `select row_to_json(x) as json from ${name} x where ${key} = '${alice.tenantId}' limit 1`,
      )
      expect([name, row?.json]).toEqual([name, expect.anything()])
      // A trigger may miss what the row refers to before the policy sees it.
      await expect(insertCopy(name, row?.json), `a row into ${name}`).rejects.toMatchObject({
        code: expect.stringMatching(/^(42501|CF400)$/),
      })
    }
  })
})

describe('the front door', () => {
  test('a stranger takes nothing out of our search', async () => {
    const { alice, charlie } = house
    const { id } = await alice.build('deal', { name: 'Zeppelin' })
    const found = async () => (await alice.get('/search/deals?q=zeppelin')).body.data.length === 1
    await eventually(found, 'the deal in the search')
    await charlie.delete(`/search/index/deal/${id}`)
    expect(await found()).toBe(true)
  })

  test('what a stranger refers to does not resolve', async () => {
    const { alice, charlie } = house
    const contact = await alice.build('contact')
    const company = await alice.build('company')
    const { id } = await charlie.build('deal')
    const refused: Record<string, unknown>[] = [
      { contactIds: [contact.id] },
      { companyId: company.id },
      { ownerId: alice.userId },
    ]
    for (const body of refused) {
      const answer = await charlie.patch(`/deals/${id}`, body)
      expect([answer.status, answer.body.errors[0].path]).toEqual([400, Object.keys(body)[0]])
    }
    const operations = [{ op: 'delete', id: contact.id }]
    const { body } = await charlie.post('/contacts/bulk', { operations })
    expect(body.results).toMatchObject([{ status: 404 }])
    expect((await alice.get(`/contacts/${contact.id}`)).status).toBe(200)
  })

  test('nobody without a token learns even what there is', async () => {
    expect((await house.nobody.get('/spaceships')).status).toBe(401)
    expect((await house.alice.get('/spaceships')).status).toBe(404)
  })
})

/** Tables with rows of tenants, and the column that says whose they are. */
const tenantTables = `
  select c.oid, c.relname::text as name, case c.relname when 'tenants' then 'id' else 'tenant_id' end as key from pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and (c.relname = 'tenants' or exists (
    select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped))`

async function look(text: string): Promise<pg.QueryResultRow[]> {
  return asOwner(house.ownerUrl, async (owner) => (await owner.query(text)).rows)
}

const reachable = (right: string) =>
  look(
    `select t.name, t.key from (${tenantTables}) t where has_table_privilege('clientforge_app', t.oid, '${right}') order by 1`,
  )

/** A copy of a row with another id, all but what the table works out itself. */
async function insertCopy(table: string, row: Record<string, unknown>): Promise<unknown> {
  const columns = await look(`
    select attname as name from pg_attribute where attrelid = '${table}'::regclass and attnum > 0 and not attisdropped and attgenerated = ''`)
  const names = columns.map(({ name }) => name).join(', ')
  const copy = 'id' in row ? { ...row, id: randomUUID() } : row
  return app.query(`insert into ${table} (${names}) select ${names} from json_populate_record(null::${table}, $1)`, [
    JSON.stringify(copy),
  ])
}
