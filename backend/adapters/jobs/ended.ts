import type { Queue } from 'bullmq'

/**
 * How many jobs in a final state had ended at a time. The store lists them in the order of their end but counts no part of
 * the list; halving it finds the border in some twenty looks.
 */
export async function countEnded(queue: Queue, state: 'completed' | 'failed', at: number): Promise<number> {
  let [low, high] = [0, await queue.getJobCountByTypes(state)]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const [job] = await queue.getJobs([state], middle, middle, true)
    if (job?.finishedOn !== undefined && job.finishedOn <= at) low = middle + 1
    else high = middle
  }
  return low
}
