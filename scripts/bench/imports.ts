import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { contact } from '../../backend/entities/contacts/contact.entity.ts'
import { documentSql } from '../../backend/kernel/entity/document.ts'
import { newId } from '../../backend/kernel/ids.ts'
import { call } from './load.ts'
import { type House, lastNames, usageOf } from './setup.ts'

/** An import beside the same rows and events by hand. */
export interface Imports {
  readonly rows: number
  /** Rows a second, from the answer to the request until it is completed. */
  readonly imported: number
  /** Rows a second by hand-written statements of 100 rows, one commit each. */
  readonly byHand: number
  /** MiB of the app after its start, at rest after a small import, and at most while it imported. */
  readonly cold: number
  readonly idle: number
  readonly peak: number
  /** Seconds until every subscription has digested the import. */
  readonly rest: number
}

const rowsACommit = 100
const warmRows = 500
const patience = 600

/** Half of the peer's rows go in before the import and half after it, as the tables grow meanwhile. */
export async function measureImports(house: House, rows: number): Promise<Imports> {
  await house.digested(patience)
  const before = await byHand(house, rows / 2)
  await house.digested(patience)
  await house.restart()
  const cold = await idleMemory(house)
  // Loading and compiling what an import needs costs the same once, however long the table is.
  await importTable(house, warmRows)
  const idle = await idleMemory(house)
  const { seconds, peak } = await importTable(house, rows)
  const rest = await house.digested(patience)
  const after = await byHand(house, rows / 2)
  await house.digested(patience)
  return { rows, imported: rows / seconds, byHand: rows / (before + after), cold, idle, peak, rest }
}

/** What the app needs when it has answered a request and nothing is left to be done. */
async function idleMemory(house: House): Promise<number> {
  await call(house, { method: 'GET', path: '/api/v1/contacts?limit=1', expect: 200 })
  await house.digested(patience)
  await sleep(3_000)
  return (await usageOf(house.app)).memory
}

const header = ['firstName', 'lastName', 'email', 'phone', 'jobTitle', 'leadScore', 'source']

const cellsOf = (number: number): (string | number)[] => [
  `Import${number % 500}`,
  lastNames[number % lastNames.length] ?? '',
  `i${number}@example.com`,
  `+44207946${String(number % 10_000).padStart(4, '0')}`,
  'Engineer',
  number % 100,
  'table',
]

async function importTable(house: House, rows: number): Promise<{ seconds: number; peak: number }> {
  const lines = Array.from({ length: rows }, (_none, number) => cellsOf(number).join(','))
  const form = new FormData()
  form.set('resource', 'contacts')
  form.set('file', new Blob([`${header.join(',')}\n${lines.join('\n')}\n`]), 'contacts.csv')
  const response = await fetch(`http://127.0.0.1:${house.port}/api/v1/imports`, {
    method: 'POST',
    headers: { authorization: `Bearer ${house.token}` },
    body: form,
  })
  if (response.status !== 202) throw new Error(`the import was refused: ${await response.text()}`)
  const { id }: { id: string } = JSON.parse(await response.text())
  const started = performance.now()
  let peak = 0
  for (;;) {
    const state = await call<{ status: string; created: number; failure: string | null }>(house, {
      method: 'GET',
      path: `/api/v1/imports/${id}`,
      expect: 200,
    })
    peak = Math.max(peak, (await usageOf(house.app)).memory)
    if (state.status === 'completed' && state.created === rows) break
    if (state.status !== 'queued' && state.status !== 'running') throw new Error(`the import ended: ${state.failure}`)
    await sleep(500)
  }
  return { seconds: (performance.now() - started) / 1_000, peak }
}

/** Seconds for rows with their events, as somebody writes them who knows the tables. */
async function byHand(house: House, rows: number): Promise<number> {
  const client = new pg.Client({ connectionString: house.appUrl })
  await client.connect()
  const actor = JSON.stringify({ id: house.userId, type: 'import', name: 'Ada Bench' })
  try {
    const started = performance.now()
    for (let done = 0; done < rows; done += rowsACommit) {
      const records = Array.from({ length: rowsACommit }, (_none, index) => {
        const [first, last, email, phone, job, score, source] = cellsOf(done + index)
        return { id: newId(), event: newId(), first, last, email, phone, job, score, source }
      })
      await client.query('begin')
      await client.query("select set_config('app.tenant_id', $1, true)", [house.tenantId])
      await client.query({
        name: 'by_hand',
        text: statement,
        values: [house.tenantId, house.userId, JSON.stringify(records), actor, newId()],
      })
      await client.query('commit')
    }
    return (performance.now() - started) / 1_000
  } finally {
    await client.end()
  }
}

const statement = `
  with input as materialized (
    select * from jsonb_to_recordset($3::jsonb)
      as i(id uuid, event uuid, first text, last text, email text, phone text, job text, score integer, source text)
  ), new as (
    insert into contacts (tenant_id, id, first_name, last_name, email, phone, job_title, lead_score, source, owner_id,
                          created_at, updated_at, created_by_id)
    select $1::uuid, i.id, i.first, i.last, i.email, i.phone, i.job, i.score, i.source, $2::uuid, now(), now(), $2::uuid
    from input i returning *
  )
  insert into events (tenant_id, id, lane, name, type, record_id, version, actor, request_id, operation_id, changes, record)
  select $1::uuid, i.event, 1, 'contact.created', 'contact', r.id, 1, $4::jsonb, 'bench', $5::uuid,
    jsonb_build_array(
      jsonb_build_object('field', 'firstName', 'oldValue', null, 'newValue', r.first_name),
      jsonb_build_object('field', 'lastName', 'oldValue', null, 'newValue', r.last_name),
      jsonb_build_object('field', 'name', 'oldValue', null, 'newValue', r.name),
      jsonb_build_object('field', 'email', 'oldValue', null, 'newValue', r.email),
      jsonb_build_object('field', 'phone', 'oldValue', null, 'newValue', r.phone),
      jsonb_build_object('field', 'jobTitle', 'oldValue', null, 'newValue', r.job_title),
      jsonb_build_object('field', 'leadScore', 'oldValue', null, 'newValue', r.lead_score),
      jsonb_build_object('field', 'source', 'oldValue', null, 'newValue', r.source),
      jsonb_build_object('field', 'ownerId', 'oldValue', null, 'newValue', r.owner_id)),
    ${documentSql(contact, 'jsonb')}
  from new r join input i on i.id = r.id`
