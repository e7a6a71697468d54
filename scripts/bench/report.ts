import { readFile, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import type { Fairness } from './fairness.ts'
import type { FanOut } from './fanout.ts'
import type { Imports } from './imports.ts'
import { everybody, type ScopedList } from './rights.ts'
import type { Outcome } from './rounds.ts'
import { connections, median } from './rounds.ts'
import type { Starts } from './starts.ts'

/** All that a run has measured; what was left out is absent. */
export interface Measured {
  readonly command: string
  readonly peer: string
  readonly contacts: number
  readonly postgresVersion: string
  /** Load of the machine over the minute before the run. */
  readonly load: number
  readonly outcomes: readonly Outcome[]
  readonly fanOut: FanOut | undefined
  readonly scopedLists: readonly ScopedList[]
  readonly imports: Imports | undefined
  readonly fairness: readonly Fairness[]
  readonly starts: Starts | undefined
  /** Of the app after all loads, in MiB. */
  readonly memoryAfterLoad: number
  readonly seconds: number
}

const file = join(import.meta.dirname, '../../docs/bench.md')
const begin = '<!-- measured: written by npm run bench -->'
const end = '<!-- /measured -->'

/** A run as Markdown tables. */
export function reportOf(measured: Measured): string {
  const { outcomes, fanOut, scopedLists, imports, fairness, starts } = measured
  return [
    machine(measured),
    ...(outcomes.length > 0 ? [operationTable(outcomes)] : []),
    table(
      ['What', 'Measured', 'Goal'],
      [
        ...(fanOut ? fanOutRows(fanOut) : []),
        ...scopedLists.map(scopedListRow),
        ...(imports ? importRows(imports) : []),
        ...fairness.map(fairnessRow),
        ...(starts ? startRows(starts) : []),
        ['Memory of Node after all loads', `${measured.memoryAfterLoad.toFixed(0)} MiB`, ''],
      ],
    ),
  ].join('\n\n')
}

/** Puts the tables into `docs/bench.md`, between its marks, and leaves what people wrote around them. */
export async function writeReport(report: string): Promise<void> {
  const text = await readFile(file, 'utf8').catch(() => `# Measurements\n\n${begin}\n${end}\n`)
  const [before, rest] = text.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined) throw new Error(`${file} has lost its marks "${begin}" and "${end}"`)
  await writeFile(file, `${before}${begin}\n\n${report}\n\n${end}${after}`)
}

function machine({ command, peer, contacts, postgresVersion, load, outcomes, seconds }: Measured): string {
  // Looked at between the operations: without them nobody looked.
  const others = outcomes.length > 0 ? median(outcomes.map(({ others }) => others)) : null
  const busy =
    others === null
      ? ''
      : `, and between the measurements others kept ${others.toFixed(1)} of ${cpus().length} cores busy`
  const quiet =
    load < 1.5 && (others ?? 0) <= 0.2
      ? `The machine was quiet (load ${load.toFixed(2)} before the run).`
      : `**The machine was not quiet**: a load of ${load.toFixed(2)} before the run${busy}. Read the ratios, not the rates; what needs three processes one after the other suffers more from it than pgbench does.`
  return [
    `\`${command}\` on ${new Date().toISOString().slice(0, 10)}, in ${seconds.toFixed(0)} s. ${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${(totalmem() / 2 ** 30).toFixed(0)} GiB of memory,`,
    `${process.platform} ${process.arch}, Node ${process.versions.node}, PostgreSQL ${postgresVersion} (embedded, durable). Client, app and database share the cores.`,
    quiet,
    `The tenant has ${contacts.toLocaleString('en')} contacts. HTTP: ${connections} connections. Peer: \`${peer}\`, the application's own statements as its role.`,
    'Medians of 3 interleaved rounds.',
  ].join('\n')
}

function operationTable(outcomes: readonly Outcome[]): string {
  return table(
    [
      'Operation',
      'HTTP /s',
      'p50',
      'p99',
      'Node CPU',
      'Peer /s',
      'Ratio',
      'Goal',
      'Peer /s beside the fan-out',
      'Ratio',
    ],
    outcomes.map(({ operation, http, cpu, peer, ratio, peerWithFanOut, ratioWithFanOut }) => [
      operation.title,
      whole(http.perSecond),
      `${http.p50.toFixed(1)} ms`,
      `${http.p99.toFixed(1)} ms`,
      `${whole(cpu)} µs`,
      whole(peer),
      ratio.toFixed(2),
      operation.goal === null ? '' : `${operation.goal.toFixed(2)} ${verdict(ratio >= operation.goal)}`,
      peerWithFanOut === null ? '' : whole(peerWithFanOut),
      ratioWithFanOut === null ? '' : ratioWithFanOut.toFixed(2),
    ]),
  )
}

function fanOutRows(fanOut: FanOut): string[][] {
  const lag = ({ p50, p99 }: { p50: number; p99: number }) => `p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`
  return [
    [
      `Activity after the \`201\`, at ${whole(fanOut.rate)}/s (80 % of ${whole(fanOut.peak)}), ${whole(fanOut.samples)} samples`,
      lag(fanOut.activity),
      `p99 50 ms ${verdict(fanOut.activity.p99 <= 50)}`,
    ],
    [
      'Search document after the `201`, same load',
      lag(fanOut.document),
      `p99 50 ms ${verdict(fanOut.document.p99 <= 50)}`,
    ],
    ['Answers under this load', lag(fanOut.latency), ''],
    ['Backlog gone after this load', `${fanOut.rest.toFixed(2)} s`, `1 s ${verdict(fanOut.rest <= 1)}`],
    ['Backlog gone after 3 s at full speed', `${fanOut.restAtPeak.toFixed(2)} s`, ''],
  ]
}

function scopedListRow({ scope, holders, perSecond, ofAll, ratio }: ScopedList): string[] {
  return [
    `\`GET /contacts?limit=50\` with the scope \`${scope}\` (records of ${whole(holders)} of ${whole(everybody)})`,
    `${whole(perSecond)}/s; of who reads everything ${whole(ofAll)}/s; ratio ${ratio.toFixed(2)}`,
    `0.90 ${verdict(ratio >= 0.9)}`,
  ]
}

function importRows({ rows, imported, byHand, cold, idle, peak, rest }: Imports): string[][] {
  const ratio = imported / byHand
  const above = peak - idle
  return [
    [
      `Import of ${whole(rows)} rows`,
      `${whole(imported)}/s; by hand ${whole(byHand)}/s; ratio ${ratio.toFixed(2)}`,
      `0.33 ${verdict(ratio >= 1 / 3)}`,
    ],
    [
      'Memory of Node above idle while it imports and digests, after a first small import',
      `${above.toFixed(0)} MiB (${(peak - cold).toFixed(0)} above a process that has just started)`,
      `60 MB ${verdict(above * 1.048576 <= 60)}`,
    ],
    ['Backlog gone after the import', `${rest.toFixed(1)} s`, ''],
  ]
}

function fairnessRow({ store, waiting, added, alone, beside }: Fairness): string[] {
  const late = beside - alone
  return [
    `Three jobs of a tenant beside ${whole(waiting)} that wait for another (${store}, filled at ${whole(added)}/s)`,
    `done after ${beside.toFixed(2)} s; alone after ${alone.toFixed(2)} s`,
    `2 s later ${verdict(late < 2)}`,
  ]
}

function startRows(starts: Starts): string[][] {
  return [
    [
      'First start, embedded database made, to the first `201` of a contact',
      `${starts.firstCreated.toFixed(1)} s (ready after ${starts.firstReady.toFixed(1)} s)`,
      `3 s ${verdict(starts.firstCreated <= 3)}`,
    ],
    ['Later start until ready', `${starts.laterReady.toFixed(1)} s`, ''],
    [
      'Memory of Node, idle',
      `${starts.idleMemory.toFixed(0)} MiB`,
      `150 MB ${verdict(starts.idleMemory * 1.048576 <= 150)}`,
    ],
  ]
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

const whole = (value: number): string => Math.round(value).toLocaleString('en')
const verdict = (met: boolean): string => (met ? '(met)' : '(missed)')
