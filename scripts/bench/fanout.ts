import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { load, quantile } from './load.ts'
import type { Operation } from './operations.ts'
import { connections } from './rounds.ts'
import type { House } from './setup.ts'

/** How far the consumers were behind the answers, in milliseconds, and how the backlog ended. */
export interface FanOut {
  readonly peak: number
  readonly rate: number
  readonly samples: number
  readonly activity: { readonly p50: number; readonly p99: number }
  readonly document: { readonly p50: number; readonly p99: number }
  /** Seconds from the last answer until everything was digested. */
  readonly rest: number
  /** The same after a load at full speed. */
  readonly restAtPeak: number
  readonly latency: { readonly p50: number; readonly p99: number }
}

const seconds = 8

/** Creates at 80 % of the peak, and looks when what was answered stands in the timeline and in the search. */
export async function measureFanOut(house: House, create: Operation, knownPeak: number | undefined): Promise<FanOut> {
  await house.digested()
  const full = await load(house, create.shot, { connections, seconds: 3 })
  const restAtPeak = await house.digested()
  const peak = knownPeak ?? full.perSecond
  const watch = await startWatch(house)
  const paced = await load(house, create.shot, { connections, seconds, rate: peak * 0.8, answered: watch.answered })
  const rest = await house.digested()
  const { activity, document } = await watch.end()
  return {
    peak,
    rate: paced.perSecond,
    samples: activity.length,
    activity: { p50: quantile(activity, 0.5), p99: quantile(activity, 0.99) },
    document: { p50: quantile(document, 0.5), p99: quantile(document, 0.99) },
    rest,
    restAtPeak,
    latency: { p50: paced.p50, p99: paced.p99 },
  }
}

const sampleEvery = 20
const lookEvery = 3

/** Looks for a sample of the created contacts on a connection of its own, every few milliseconds. */
async function startWatch(house: House) {
  const client = new pg.Client({ connectionString: house.workerUrl })
  await client.connect()
  const waiting = { activity: new Map<string, number>(), document: new Map<string, number>() }
  const lags = { activity: [] as number[], document: [] as number[] }
  let answers = 0
  let ending = false
  const look = async (kind: 'activity' | 'document', text: string): Promise<void> => {
    const pending = waiting[kind]
    if (pending.size === 0) return
    const { rows } = await client.query<{ id: string }>({
      name: kind,
      text,
      values: [house.tenantId, [...pending.keys()]],
    })
    const now = performance.now()
    for (const { id } of rows) {
      lags[kind].push(now - (pending.get(id) ?? now))
      pending.delete(id)
    }
  }
  const looking = (async () => {
    while (!ending || waiting.activity.size + waiting.document.size > 0) {
      await look(
        'activity',
        `select entity_id as id from activities where tenant_id = $1 and entity_type = 'contact' and entity_id = any($2::uuid[])`,
      )
      await look(
        'document',
        `select record_id as id from search_documents where tenant_id = $1 and type = 'contact' and record_id = any($2::uuid[])`,
      )
      await sleep(lookEvery)
    }
  })()
  return {
    answered: (body: Buffer): void => {
      answers++
      if (answers % sampleEvery !== 0) return
      const id = /"id"\s*:\s*"([0-9a-f-]{36})"/.exec(body.toString('utf8'))?.[1]
      if (id === undefined) return
      waiting.activity.set(id, performance.now())
      waiting.document.set(id, performance.now())
    },
    end: async () => {
      ending = true
      await looking
      await client.end()
      return { activity: lags.activity.sort(ascending), document: lags.document.sort(ascending) }
    },
  }
}

const ascending = (a: number, b: number): number => a - b
