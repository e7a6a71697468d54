import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
  /** Microseconds of the machine's monotonic clock, which `process.hrtime` of another process reads too. */
  readonly startTime: number
}

/** When to look, in microseconds of the monotonic clock. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** Where a process spent its time in a span, from the profiles that `--cpu-prof` left: by package, and by function. */
export async function readProfiles(folder: string, span: Span): Promise<string> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.cpuprofile'))
  const groups = new Map<string, number>()
  const functions = new Map<string, number>()
  for (const file of files) {
    const profile: Profile = JSON.parse(await readFile(join(folder, file), 'utf8'))
    const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]))
    let now = profile.startTime
    for (const [index, id] of profile.samples.entries()) {
      const frame = frames.get(id)
      const time = profile.timeDeltas[index] ?? 0
      now += time
      if (!frame || frame.functionName === '(idle)' || now < span.from || now > span.to) continue
      add(groups, groupOf(frame), time)
      add(functions, `${frame.functionName || '(anonymous)'} ${groupOf(frame)}`, time)
    }
  }
  return `${top(groups, 16)}\n\n${top(functions, 25)}`
}

function groupOf({ functionName, url }: { functionName: string; url: string }): string {
  if (functionName.startsWith('(')) return functionName
  const [, name] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? []
  if (name) return name
  const [, ours] = /\/(backend\/(?:kernel\/)?[^/]+)/.exec(url) ?? []
  if (ours) return ours
  return url.startsWith('node:') ? url : 'native'
}

function add(sums: Map<string, number>, key: string, time: number): void {
  sums.set(key, (sums.get(key) ?? 0) + time)
}

function top(sums: ReadonlyMap<string, number>, count: number): string {
  const all = [...sums.values()].reduce((sum, time) => sum + time, 0)
  return [...sums]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([key, time]) => `${((time / all) * 100).toFixed(1).padStart(5)} %  ${key}`)
    .join('\n')
}
