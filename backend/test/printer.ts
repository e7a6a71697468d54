import { z } from 'zod'
import type { Job } from '../kernel/jobs/job.ts'
import { type Client, eventually } from './client.ts'

/** A job of tests, in the queue `reports`: each tag that is made is printed, unless the printer is broken. */
export interface Printer {
  readonly job: Job<{ tagId: string }>
  broken: boolean
  /** Has a tag printed, and gives the id of its job once the operator sees that it came to its end. */
  print(alice: Client, operator: Client): Promise<string>
}

/** A printer, to be given to `startTestApp({ jobs: [printer.job] })`. */
export function createPrinter({ broken }: { broken: boolean }): Printer {
  const printer: Printer = {
    broken,
    job: {
      name: 'tag.print',
      queue: 'reports',
      data: z.object({ tagId: z.string() }),
      on: ['tag.created'],
      ask: ({ recordId }) => [{ data: { tagId: recordId ?? '' } }],
      attempts: 1,
      run: async () => {
        if (printer.broken) throw new Error('the printer is on fire')
      },
    },
    print: async (alice, operator) => {
      const tag = await alice.build('tag', { name: crypto.randomUUID() })
      return printed(operator, printer.broken ? 'failed' : 'completed', tag.id)
    },
  }
  return printer
}

/** The id of the job that printed a tag, once it is in this state. */
export const printed = (operator: Client, state: string, tagId: string): Promise<string> =>
  eventually(async () => {
    const { data } = (await operator.get(`/admin/jobs/reports?state=${state}&limit=200`)).body
    return data.find((job: { data: { data: { tagId: string } } }) => job.data.data.tagId === tagId)?.id
  }, `a job that ${state}`)
