import type { BeforeHook, BullBoardRequest } from '@bull-board/api/typings/app'
import type { RequestHandler } from 'express'
import { queueNames } from '../../kernel/jobs/job.ts'
import type { JobEngine } from './jobs.port.ts'
import { told } from './told.ts'

/** bull-board over the queues of an engine. It is loaded when it is first asked for: a quarter of a second, and 30 MB. */
export async function createDashboard(engine: JobEngine, path: string, signOut: string): Promise<RequestHandler> {
  const [{ createBullBoard }, { BullMQAdapter }, { ExpressAdapter }] = await Promise.all([
    import('@bull-board/api'),
    import('@bull-board/api/bullMQAdapter'),
    import('@bull-board/express'),
  ])
  type Queue = ConstructorParameters<typeof BullMQAdapter>[0]
  const serverAdapter = new ExpressAdapter().setBasePath(path)
  createBullBoard({
    queues: engine.board(queueNames).map((queue) => {
      const adapter = new BullMQAdapter(queue as Queue)
      adapter.setFormatter('data', told)
      return adapter
    }),
    serverAdapter,
    options: {
      uiConfig: {
        boardTitle: 'ClientForge',
        hideDocsLink: true,
        hideRedisDetails: true,
        miscLinks: [{ text: 'Sign out', url: signOut }],
      },
      handlerHooks: { before: refuseWhatBreaks },
    },
  })
  const app = serverAdapter.getRouter()
  app.disable('x-powered-by')
  return app
}

/**
 * What the page may change: steer a queue, and begin or remove what failed. Not offered is what would break the queue's
 * word, though bull-board has it: changed or doubled work, other schedules and rates, and completed jobs that are gone
 * or run again, by which an event that is delivered a second time would be done twice.
 */
const changes: Readonly<Record<string, (request: BullBoardRequest) => Promise<boolean> | boolean>> = {
  'put /api/queues/pause': () => true,
  'put /api/queues/resume': () => true,
  'put /api/queues/:queueName/pause': () => true,
  'put /api/queues/:queueName/resume': () => true,
  'put /api/queues/:queueName/retry/:queueStatus': ({ params }) => params.queueStatus === 'failed',
  'put /api/queues/:queueName/clean/:queueStatus': ({ params }) => params.queueStatus === 'failed',
  'put /api/queues/:queueName/:jobId/retry': (request) => isIn('failed', request),
  'put /api/queues/:queueName/:jobId/clean': (request) => isIn('failed', request),
  'put /api/queues/:queueName/:jobId/promote': (request) => isIn('delayed', request),
}

const refuseWhatBreaks: BeforeHook = async ({ method, route, request }) => {
  if (method === 'get' || (await changes[`${method} ${route}`]?.(request))) return
  return { allow: false, status: 403 }
}

async function isIn(state: string, { queues, params }: BullBoardRequest): Promise<boolean> {
  const job = await queues.get(String(params.queueName))?.getJob(String(params.jobId))
  // Of a job that is gone the page itself tells that it is.
  return !job || (await job.getState()) === state
}
