import { z } from 'zod'
import { HandedBack, Hopeless, type Perform, type TakenJob } from '../../adapters/jobs/jobs.port.ts'
import { PermanentError } from '../../kernel/events/subscription.ts'
import type { Job, Schedule, Work } from '../../kernel/jobs/job.ts'
import type { Logger } from '../../kernel/log.ts'

/** Five minutes. */
const timeout = 300_000
/** An aborted job may tidy up for so long. */
const grace = 4_000

/** Does what the queue gives: a job of an event, or the turn of a schedule. `stopping` is aborted when the process ends. */
export function createPerformer(deps: {
  jobs: readonly Job[]
  schedules: readonly Schedule[]
  stopping: AbortSignal
  log: Logger
}): Perform {
  const jobs = new Map(deps.jobs.map((job) => [job.name, job]))
  const schedules = new Map(deps.schedules.map((schedule) => [schedule.name, schedule]))
  return (taken) => {
    const log = deps.log.child({ job: taken.id, name: taken.name, attempt: taken.attempt })
    const job = jobs.get(taken.name)
    const schedule = schedules.get(taken.name)
    const signal = AbortSignal.any([deps.stopping, AbortSignal.timeout((job ?? schedule)?.timeout ?? timeout)])
    if (job) return perform(job, taken, signal, log)
    if (schedule) return attempt(taken, log, () => runSchedule(schedule, signal, log))
    // An older release may take what a newer one has asked for; it is tried again, then by the right one.
    return attempt(taken, log, () => Promise.reject(new Error(`this release knows no job named ${taken.name}`)))
  }
}

async function perform(job: Job, taken: TakenJob, signal: AbortSignal, log: Logger): Promise<void> {
  const data = envelope.extend({ data: job.data }).safeParse(taken.data)
  if (!data.success) {
    const reason = `its data is not what ${job.name} takes: ${z.prettifyError(data.error)}`
    return attempt(taken, log, () => Promise.reject(new PermanentError(reason)))
  }
  const { tenantId, requestId } = data.data
  const child = log.child({ tenantId, requestId })
  const work: Work<unknown> = { ...data.data, id: taken.id, attempt: taken.attempt, signal, log: child }
  const run = async (): Promise<void> => {
    await within(signal, () => job.run(work))
    child.debug('a job was done')
  }
  return attempt(taken, child, run, (error) => job.gaveUp?.(work, error))
}

/** What stands in the queue beside the job's own data. */
const envelope = z.object({
  tenantId: z.uuid(),
  actor: z.object({
    id: z.string().nullable(),
    type: z.enum(['user', 'api_key', 'service', 'import', 'job', 'system']),
    name: z.string(),
  }),
  requestId: z.string(),
  operationId: z.string(),
  data: z.unknown(),
})

async function runSchedule(schedule: Schedule, signal: AbortSignal, log: Logger): Promise<void> {
  const counts = await within(signal, () => schedule.run({ dryRun: false, signal, log }))
  if (Object.values(counts).some((count) => count > 0)) log.info({ counts }, 'a schedule was run')
  else log.debug({ counts }, 'a schedule was run')
}

/** Runs what was taken, and says in the log how it failed: with a warning while it is tried again, else with an error. */
async function attempt(
  taken: TakenJob,
  log: Logger,
  run: () => Promise<void>,
  gaveUp?: (error: Error) => Promise<void> | undefined,
): Promise<void> {
  try {
    await run()
  } catch (error) {
    if (error instanceof HandedBack) throw error
    const hopeless = error instanceof PermanentError || taken.attempt >= taken.attempts
    if (!hopeless) {
      log.warn({ err: error }, 'a job failed and is tried again')
      throw error
    }
    log.error({ err: error }, 'a job failed for good; it can be retried from the dead letters')
    const reason = error instanceof Error ? error : new Error(String(error))
    await gaveUp?.(reason)
    throw new Hopeless(reason.message, { cause: error })
  }
}

/** Ends with the work, or soon after its signal: as handed back when the process stops, as failed after the timeout. */
async function within<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  let timer: NodeJS.Timeout | undefined
  const abort = (): void => {
    timer = setTimeout(() => reject(interrupted(signal)), grace)
  }
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  try {
    return await Promise.race([run(), late])
  } catch (error) {
    throw signal.aborted ? interrupted(signal) : error
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  }
}

const interrupted = (signal: AbortSignal): Error =>
  signal.reason instanceof HandedBack ? signal.reason : new Error('it took longer than its timeout')
