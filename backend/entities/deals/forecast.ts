import type { Tx } from '../../kernel/db/database.ts'
import {
  type Aim,
  type Grouping,
  readAims,
  readHome,
  readNames,
  readSums,
  type Sums,
  type Unconverted,
  type Wish,
} from './forecast.queries.ts'

/** A month of the forecast, of one owner or team where it is grouped by them. */
export interface ForecastRow extends Omit<Sums, 'subjectId'> {
  readonly owner?: Named | null
  readonly team?: Named | null
  readonly target: number | null
  readonly attainment: number | null
  readonly currency: string
}

interface Named {
  readonly id: string
  readonly name: string
}

/** What the months of a span are to bring, have brought, and should. */
export async function readForecast(
  tx: Tx,
  wish: Wish,
): Promise<{ data: ForecastRow[]; unconverted: readonly Unconverted[] }> {
  const { groupBy, pipelineId } = wish
  // A target is of all pipelines: of one of them it would be missed.
  const [home, { sums, unconverted }, aims] = await Promise.all([
    readHome(tx),
    readSums(tx, wish),
    pipelineId === undefined ? readAims(tx, wish) : [],
  ])
  const rows = joined(sums, aims, groupBy === 'month' ? monthsOf(wish) : [])
  const ids = [...new Set(rows.flatMap(({ subjectId }) => (subjectId === null ? [] : [subjectId])))]
  const names = await readNames(tx, groupBy, ids)
  const data = rows.map(
    ({ period, subjectId, target, ...sum }): ForecastRow => ({
      period,
      ...subjectOf(groupBy, subjectId, names),
      ...sum,
      target,
      attainment: target === null || target === 0 ? null : Math.round((sum.wonValue / target) * 10_000) / 10_000,
      currency: home.currency,
    }),
  )
  return { data: data.sort(byMonthAndName), unconverted }
}

/** The months that a span touches. */
export function monthsOf({ from, to }: Pick<Wish, 'from' | 'to'>): string[] {
  const number = (day: string) => Number(day.slice(0, 4)) * 12 + Number(day.slice(5, 7)) - 1
  const first = number(from)
  return Array.from({ length: Math.max(0, number(to) - first + 1) }, (_none, index) => {
    const month = first + index
    return `${String(Math.floor(month / 12)).padStart(4, '0')}-${String((month % 12) + 1).padStart(2, '0')}`
  })
}

/** A row for each month and subject that has deals, a target, or is asked for. */
function joined(
  sums: readonly Sums[],
  aims: readonly Aim[],
  months: readonly string[],
): (Sums & { target: number | null })[] {
  const key = ({ period, subjectId }: { period: string; subjectId: string | null }) => `${period} ${subjectId}`
  const found = new Map(sums.map((sum) => [key(sum), sum]))
  const wanted = new Map(aims.map((aim) => [key(aim), aim.amount]))
  const places = [...sums, ...aims, ...months.map((period) => ({ period, subjectId: null }))]
  const unique = new Map(places.map(({ period, subjectId }) => [key({ period, subjectId }), { period, subjectId }]))
  return [...unique].map(([at, place]) => ({ ...nothing, ...place, ...found.get(at), target: wanted.get(at) ?? null }))
}

const nothing = { count: 0, value: 0, weightedValue: 0, wonCount: 0, wonValue: 0 }

function subjectOf(
  groupBy: Grouping,
  id: string | null,
  names: ReadonlyMap<string, string>,
): Pick<ForecastRow, 'owner' | 'team'> {
  if (groupBy === 'month') return {}
  return { [groupBy]: id === null ? null : { id, name: names.get(id) ?? '' } }
}

/** Who has no name, as no owner has none, comes last. */
function byMonthAndName(a: ForecastRow, b: ForecastRow): number {
  const name = (row: ForecastRow) => (row.owner ?? row.team)?.name ?? '\uffff'
  return a.period.localeCompare(b.period) || name(a).localeCompare(name(b))
}
