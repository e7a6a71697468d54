import { mkdtemp, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measureFairness } from './fairness.ts'
import { measureFanOut } from './fanout.ts'
import { measureImports } from './imports.ts'
import { load } from './load.ts'
import { recordOperations } from './operations.ts'
import { openPeer } from './pgbench.ts'
import { readProfiles } from './profile.ts'
import { reportOf, writeReport } from './report.ts'
import { measureRights } from './rights.ts'
import { connections, measureRounds } from './rounds.ts'
import { contactCount, folderIn, openHouse, usageOf } from './setup.ts'
import { measureStarts } from './starts.ts'

const parts = ['create', 'read', 'list', 'update', 'search', 'rights', 'fanout', 'import', 'jobs', 'start']
const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    profile: { type: 'string' },
    rows: { type: 'string' },
    jobs: { type: 'string' },
  },
})
const only = values.only?.split(',') ?? parts
const unknown = only.filter((part) => !parts.includes(part))
if (unknown.length > 0) {
  console.error(`There is no ${unknown.join(', ')}: --only takes any of ${parts.join(',')}`)
  process.exit(1)
}
await (values.profile === undefined ? bench() : profile(values.profile))

/** Measures, prints, and writes `docs/bench.md` when nothing was left out. It never judges: a slow machine is no failure. */
async function bench(): Promise<void> {
  const started = performance.now()
  const [before = 0] = loadavg()
  const say = (line: string) => console.error(line)
  const starts = only.includes('start') ? await measureStarts() : undefined
  const house = await openHouse([])
  try {
    say(`${contactCount} contacts are there after ${((performance.now() - started) / 1_000).toFixed(0)} s`)
    const operations = await recordOperations(house)
    const peer = await openPeer({ ...house, folder: await folderIn(house, 'pgbench') })
    const outcomes = await measureRounds(
      house,
      peer,
      operations.filter(({ name }) => only.includes(name)),
      say,
    )
    await peer.close()
    const create = operations.find(({ name }) => name === 'create')
    const peak = outcomes.find(({ operation }) => operation === create)?.http.perSecond
    const fanOut = create && only.includes('fanout') ? await measureFanOut(house, create, peak) : undefined
    const scopedLists = only.includes('rights') ? await measureRights(house) : []
    const imports = only.includes('import') ? await measureImports(house, Number(values.rows ?? 100_000)) : undefined
    const waiting = Number(values.jobs ?? 100_000)
    const fairness = only.includes('jobs') ? await measureFairness(house, waiting, process.env.REDIS_URL) : []
    const report = reportOf({
      command: `npm run bench${values.only === undefined ? '' : ` -- --only ${values.only}`}`,
      peer: peer.name,
      contacts: contactCount,
      postgresVersion: house.postgresVersion,
      load: before,
      outcomes,
      fanOut,
      scopedLists,
      imports,
      fairness,
      starts,
      memoryAfterLoad: (await usageOf(house.app)).memory,
      seconds: (performance.now() - started) / 1_000,
    })
    console.log(report)
    if (values.only === undefined) await writeReport(report)
  } finally {
    await house.close()
  }
}

/** Runs the app with its profiler under one operation, and prints where the time went. */
async function profile(name: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'clientforge-profile-'))
  const house = await openHouse(['--cpu-prof', '--cpu-prof-interval', '500', '--cpu-prof-dir', folder])
  try {
    const operation = (await recordOperations(house)).find((one) => one.name === name)
    if (!operation) throw new Error(`There is no operation ${name}`)
    await load(house, operation.shot, { connections, seconds: 3 })
    const from = microseconds()
    const { perSecond } = await load(house, operation.shot, { connections, seconds: 10 })
    const to = microseconds()
    console.log(`${perSecond.toFixed(0)}/s under the profiler`)
    await house.digested()
    await house.app.stop()
    console.log(await readProfiles(folder, { from, to }))
  } finally {
    await house.close()
    await rm(folder, { recursive: true, force: true })
  }
}

function microseconds(): number {
  return Number(process.hrtime.bigint() / 1_000n)
}
