import { cpus } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { type LoadResult, load } from './load.ts'
import type { Operation } from './operations.ts'
import type { Peer } from './pgbench.ts'
import { type House, usageOf } from './setup.ts'

/** How many requests are under way at once: enough that the server never waits for the client. */
export const connections = 16

const rounds = 3
const seconds = 3

/** What an operation came to, the median of its rounds. */
export interface Outcome {
  readonly operation: Operation
  readonly http: LoadResult
  /** Processor time of the app for a request, in microseconds: with the fan-out that ran meanwhile. */
  readonly cpu: number
  /** How many cores others kept busy between our measurements. */
  readonly others: number
  /** The peer with the machine to itself: the app is stopped meanwhile. */
  readonly peer: number
  /** The peer while the app digests the peer's events as it would its own; only of writes. */
  readonly peerWithFanOut: number | null
  /** Of the medians of each round, so that what slows a whole round down does not count. */
  readonly ratio: number
  readonly ratioWithFanOut: number | null
}

interface Round {
  readonly http: LoadResult
  readonly cpu: number
  readonly others: number
  readonly peer: number
  readonly peerWithFanOut: number | null
}

/** Measures the operations in turns with their peers, round by round, each time with nothing left to digest. */
export async function measureRounds(
  house: House,
  peer: Peer,
  operations: readonly Operation[],
  say: (line: string) => void,
): Promise<Outcome[]> {
  const taken = new Map<Operation, Round[]>(operations.map((operation) => [operation, []]))
  // What is compiled and prepared at first is no part of what is measured.
  for (const operation of operations) await load(house, operation.shot, { connections, seconds: 1 })
  for (let round = 1; round <= rounds; round++) {
    for (const operation of operations) {
      const measured = await measureOnce(house, peer, operation)
      taken.get(operation)?.push(measured)
      say(`round ${round}: ${operation.name} ${line(measured)}`)
    }
  }
  return [...taken].map(([operation, all]) => outcomeOf(operation, all))
}

async function measureOnce(house: House, peer: Peer, operation: Operation): Promise<Round> {
  await house.digested()
  const others = await busyCores()
  const before = await usageOf(house.app)
  const http = await load(house, operation.shot, { connections, seconds })
  const cpu = (((await usageOf(house.app)).cpu - before.cpu) / http.requests) * 1e6
  await house.digested()
  const alone = await withoutTheApp(house, () => peer.run(operation, seconds))
  await house.digested()
  const together = operation.writes ? (await peer.run(operation, seconds)).perSecond : null
  return { http, cpu, others, peer: alone.perSecond, peerWithFanOut: together }
}

/** How many cores are busy while nothing of ours is. */
async function busyCores(): Promise<number> {
  const read = () =>
    cpus().map(({ times }) => ({ idle: times.idle, all: Object.values(times).reduce((a, b) => a + b) }))
  const before = read()
  await sleep(400)
  return read().reduce((sum, { idle, all }, core) => {
    const past = before[core]
    return past && all > past.all ? sum + 1 - (idle - past.idle) / (all - past.all) : sum
  }, 0)
}

/** Its timers and its subscriptions would take time from the peer. Windows knows no such stop. */
async function withoutTheApp<T>(house: House, work: () => Promise<T>): Promise<T> {
  if (process.platform === 'win32') return work()
  house.app.process.kill('SIGSTOP')
  try {
    return await work()
  } finally {
    house.app.process.kill('SIGCONT')
  }
}

function outcomeOf(operation: Operation, all: readonly Round[]): Outcome {
  const unexpected = all.flatMap(({ http }) => Object.entries(http.unexpected))
  if (unexpected.length > 0) throw new Error(`${operation.name} was answered with ${JSON.stringify(unexpected)}`)
  const middle = median(all.map(({ http }) => http.perSecond))
  const http = all.find(({ http }) => http.perSecond === middle)?.http ?? all[0]?.http
  if (!http) throw new Error('there was no round')
  const beside = all.flatMap(({ http, peerWithFanOut }) =>
    peerWithFanOut === null ? [] : [{ peer: peerWithFanOut, ratio: http.perSecond / peerWithFanOut }],
  )
  return {
    operation,
    http,
    cpu: median(all.map(({ cpu }) => cpu)),
    others: median(all.map(({ others }) => others)),
    peer: median(all.map(({ peer }) => peer)),
    ratio: median(all.map(({ http, peer }) => http.perSecond / peer)),
    peerWithFanOut: beside.length === 0 ? null : median(beside.map(({ peer }) => peer)),
    ratioWithFanOut: beside.length === 0 ? null : median(beside.map(({ ratio }) => ratio)),
  }
}

/** The middle one; of an even number the upper of the two. */
export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

const line = ({ http, cpu, others, peer, peerWithFanOut }: Round): string =>
  `(others ${others.toFixed(1)} cores) ${http.perSecond.toFixed(0)}/s at ${cpu.toFixed(0)} µs of Node, peer ${peer.toFixed(0)}/s${peerWithFanOut === null ? '' : `, beside the fan-out ${peerWithFanOut.toFixed(0)}/s`}`
