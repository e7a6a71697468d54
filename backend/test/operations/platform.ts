import { printed } from '../printer.ts'
import { type Call, type Example, type Examples, nothing, unique } from './call.ts'

/** What is done for all tenants: by platform operators, and by what watches the house. */
export const onPlatform: Examples = {
  listTenants: operating(),
  createTenant: operating({ name: 'Initech', owner: { name: 'Peter', email: 'peter@initech.example' } }),
  getTenantOfPlatform: governed(),
  governTenant: governed({ featureFlags: { beta: true } }),
  impersonateUser: async ({ operator, charlie }) => ({
    as: await operator(),
    params: { id: charlie.tenantId },
    body: { userId: charlie.userId, reason: 'Ticket 7' },
  }),
  listQueues: operating(),
  listJobs: operating(undefined, { params: { queue: 'reports' } }),
  retryJob: async ({ alice, operator }) => {
    const as = await operator()
    const jobId = await printed(as, 'failed', (await alice.build('tag', { name: unique('print') })).id)
    return { as, body: { queue: 'reports', jobId } }
  },
  listSchedules: operating(),
  runSchedule: operating({ dryRun: true }, { params: { name: 'sessions.expire' } }),
  pauseQueue: operating({ queue: 'reports' }),
  resumeQueue: operating({ queue: 'reports' }),
  cleanQueue: operating({ queue: 'reports', olderThanMs: 3_600_000 }),

  live: nothing,
  ready: nothing,
  health: nothing,
  metrics: nothing,
}

function operating(body?: unknown, call: Call = {}): Example {
  return async ({ operator }) => ({ as: await operator(), ...(body ? { body } : {}), ...call })
}

/** What a platform operator does with Charlie's tenant. */
function governed(body?: unknown): Example {
  return async ({ operator, charlie }) => ({
    as: await operator(),
    params: { id: charlie.tenantId },
    ...(body ? { body } : {}),
  })
}
