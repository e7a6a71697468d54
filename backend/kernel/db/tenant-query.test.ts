import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { asOwner } from '../../test/app.ts'
import { withDatabase } from '../../test/global.setup.ts'
import { roleUrl } from './roles.ts'
import { queryAsTenant } from './tenant-query.ts'

/** What `tenant-query.ts` takes for granted of the insides of pg, and of one implicit transaction a Sync. */

const database = `tenant_query_${process.pid}`
const ownerUrl = withDatabase(inject('ownerUrl'), database)
const appUrl = roleUrl(ownerUrl, 'clientforge_app')
const [acme, globex, initech] = [randomUUID(), randomUUID(), randomUUID()]
const teams = 'select name from teams order by name'
const setting = "select nullif(current_setting('app.tenant_id', true), '') as tenant"
const insert =
  'insert into teams (tenant_id, id, name, created_at, updated_at) values ($1, gen_random_uuid(), $2, now(), now())'

let client: pg.Client

beforeAll(async () => {
  await asOwner(inject('ownerUrl'), (server) =>
    server.query(`create database ${database} template ${inject('template')}`),
  )
  await asOwner(ownerUrl, async (owner) => {
    for (const [tenant, name] of [
      [acme, 'Acme'],
      [globex, 'Globex'],
      [initech, 'Initech'],
    ]) {
      await owner.query('insert into tenants (id, name) values ($1, $2)', [tenant, name])
      await owner.query(insert, [tenant, `${name} team`])
    }
  })
})
afterAll(() =>
  asOwner(inject('ownerUrl'), (server) => server.query(`drop database if exists ${database} with (force)`)),
)

beforeEach(async () => {
  client = new pg.Client({ connectionString: appUrl })
  await client.connect()
})
afterEach(() => client.end())

const ask = (tenant: string, text: string, values: unknown[] = [], name?: string) =>
  queryAsTenant(client, tenant, { text, values, name })
const plain = async (text: string) => (await client.query(text)).rows

/** The connection serves its next callers as if nothing had happened, and knows no tenant. */
async function expectUsable(): Promise<void> {
  expect(await plain(teams)).toEqual([])
  expect(await plain(setting)).toEqual([{ tenant: null }])
  expect(await ask(acme, teams)).toEqual([{ name: 'Acme team' }])
  expect(await ask(globex, teams, [], 'teams')).toEqual([{ name: 'Globex team' }])
  expect(await plain(setting)).toEqual([{ tenant: null }])
}

test('a statement sees the rows of its tenant, and leaves no setting behind', async () => {
  expect(await ask(acme, teams)).toEqual([{ name: 'Acme team' }])
  expect(await ask(globex, teams)).toEqual([{ name: 'Globex team' }])
  expect(await ask(acme, setting)).toEqual([{ tenant: acme }])
  expect(await ask(acme, 'select 1 as one where false')).toEqual([])
  await expectUsable()
})

test('values come as the driver gives them everywhere', async () => {
  const text =
    'select $1::integer as number, $2::text[] as list, $3::jsonb as json, $4::bytea as bytes, $5::text as nothing, $6::timestamptz as time'
  const time = new Date('2026-11-21T08:00:00.000Z')
  const values = [7, ['a,b', '"c"'], { deep: [1] }, Buffer.from([0, 255]), null, time]
  const same = [
    { number: 7, list: ['a,b', '"c"'], json: { deep: [1] }, bytes: Buffer.from([0, 255]), nothing: null, time },
  ]
  expect(await ask(acme, text, values)).toEqual(same)
  expect((await client.query(text, values)).rows).toEqual(same)
})

test('a write commits with its statement, and another’s row is refused', async () => {
  await ask(initech, insert, [initech, 'Second'])
  expect(await ask(initech, teams)).toEqual([{ name: 'Initech team' }, { name: 'Second' }])
  await expect(ask(initech, insert, [globex, 'Smuggled'])).rejects.toMatchObject({ code: '42501' })
  expect(await ask(globex, teams)).toEqual([{ name: 'Globex team' }])
  expect(await ask(initech, 'update teams set name = name where tenant_id = $1', [globex])).toEqual([])
  await expectUsable()
})

describe('after an error', () => {
  const failing: [string, string, unknown[], string][] = [
    ['at run time', 'select 1 / $1::integer', [0], '22012'],
    ['of syntax', 'selec 1', [], '42601'],
    ['of a value', 'select $1::uuid', ['no uuid'], '22P02'],
    ['of a name that is not there', 'select * from nowhere', [], '42P01'],
    ['with rows before it', 'select 10 / (5 - n) from generate_series(1, 9) n', [], '22012'],
    ['of too few values', 'select $1::integer + $2::integer', [1], '08P01'],
  ]
  test.each(failing)(
    '%s the connection is good, and the statement fails again alike',
    async (_what, text, values, code) => {
      for (const name of [undefined, 'failing', 'failing']) {
        await expect(ask(acme, text, values, name)).rejects.toMatchObject({ code })
        await expectUsable()
      }
    },
  )

  test('of a named statement it can be corrected under the same name', async () => {
    await expect(ask(acme, 'select name from teems', [], 'list')).rejects.toMatchObject({ code: '42P01' })
    expect(await ask(acme, teams, [], 'list')).toEqual([{ name: 'Acme team' }])
    await expect(ask(acme, 'select 1 / $1::integer as x', [0], 'divide')).rejects.toMatchObject({ code: '22012' })
    expect(await ask(acme, 'select 1 / $1::integer as x', [1], 'divide')).toEqual([{ x: 1 }])
  })

  test('of the tenant nothing has run', async () => {
    await expect(ask('no tenant', insert, [acme, 'Lost'])).rejects.toMatchObject({ code: '22P02' })
    await expect(ask('', insert, [acme, 'Lost'])).rejects.toMatchObject({ code: '42501' })
    await expectUsable()
  })

  test('in printing a value nothing was sent', async () => {
    const bad = {
      toPostgres: () => {
        throw new RangeError('cannot be printed')
      },
    }
    await expect(queryAsTenant(client, acme, { text: 'select $1', values: [bad] })).rejects.toThrow('cannot be printed')
    await expectUsable()
  })

  test('within a transaction the transaction is over until it is rolled back', async () => {
    await client.query('begin')
    expect(await ask(acme, teams)).toEqual([{ name: 'Acme team' }])
    await expect(ask(acme, 'selec 1')).rejects.toMatchObject({ code: '42601' })
    await expect(ask(acme, teams)).rejects.toMatchObject({ code: '25P02' })
    await client.query('rollback')
    await expectUsable()
  })
})

test('names are prepared once a connection, and the unnamed are not kept', async () => {
  for (let round = 0; round < 3; round++) {
    await ask(acme, teams, [], 'teams')
    await ask(globex, teams)
    await ask(acme, 'select $1::integer as n', [round])
  }
  const prepared = await plain('select name from pg_prepared_statements order by name')
  expect(prepared).toEqual([{ name: 'set_tenant' }, { name: 'teams' }])
})

test('a name that is used for two texts is refused, by us and before anything is sent', async () => {
  await ask(acme, teams, [], 'one')
  await expect(ask(acme, setting, [], 'one')).rejects.toThrow('the statement name one is used for two texts')
  await expectUsable()
})

test('the way of pg itself and ours share one connection and its names', async () => {
  await client.query({ name: 'set_tenant', text: "select set_config('app.tenant_id', $1, true)", values: [acme] })
  expect(await ask(acme, teams, [], 'teams')).toEqual([{ name: 'Acme team' }])
  expect((await client.query({ name: 'teams', text: teams })).rows).toEqual([])
  await expectUsable()
})

test('a thousand at once over a pool of four each get their own', async () => {
  const pool = new pg.Pool({ connectionString: appUrl, max: 4 })
  const one = async (number: number): Promise<boolean> => {
    const [tenant, name] = number % 2 ? [acme, 'Acme team'] : [globex, 'Globex team']
    const lent = await pool.connect()
    try {
      const fails = number % 7 === 0
      const text = fails ? 'select name, $1::integer / 0 from teams' : 'select name, $1::integer as number from teams'
      const rows = await queryAsTenant(lent, tenant, {
        text,
        values: [number],
        name: number % 3 ? `shape ${fails}` : undefined,
      })
      return rows.length === 1 && rows[0]?.name === name && rows[0]?.number === number
    } catch (error) {
      return error instanceof pg.DatabaseError && error.code === '22012' && number % 7 === 0
    } finally {
      lent.release()
    }
  }
  const answers = await Promise.all(Array.from({ length: 1_000 }, (_none, number) => one(number)))
  expect(answers.filter((right) => !right)).toEqual([])
  expect(pool.totalCount).toBe(4)
  await pool.end()
})

test('a connection that is lost rejects what waits on it', async () => {
  const lost = new pg.Client({ connectionString: appUrl })
  lost.on('error', () => {})
  await lost.connect()
  const [{ pid } = { pid: 0 }] = (await lost.query('select pg_backend_pid() as pid')).rows
  const waiting = queryAsTenant(lost, acme, { text: 'select pg_sleep(30)', values: [] })
  const told = expect(waiting).rejects.toMatchObject({ code: '57P01' })
  // As the same role: a plain owner may not end the sessions of another.
  await asOwner(appUrl, (client) => client.query('select pg_terminate_backend($1)', [pid]))
  await told
})
