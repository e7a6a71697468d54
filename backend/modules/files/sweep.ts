import type { Files } from '../../adapters/files/files.port.ts'
import type { Turn } from '../../kernel/jobs/job.ts'

/** Which of these keys a part of the house still has in its books. */
export type Needed = (keys: readonly string[]) => Promise<ReadonlySet<string>>

/** Long enough for whoever is still writing a file, or about to put it down in his books. */
const graceMs = 24 * 3_600_000

const atOnce = 500

/**
 * Takes away what processes that died have left: files that never became whole, and those in a folder of which nobody
 * needs to know. Other folders are left alone.
 */
export async function sweep(
  files: Files,
  needed: Readonly<Record<string, Needed>>,
  { dryRun, signal }: Pick<Turn, 'dryRun' | 'signal'>,
): Promise<{ drafts: number; orphans: number }> {
  const before = new Date(Date.now() - graceMs)
  const counts = { drafts: 0, orphans: 0 }
  for await (const draft of files.drafts(before)) {
    signal.throwIfAborted()
    if (!dryRun) await draft.drop()
    counts.drafts += 1
  }
  for (const [folder, need] of Object.entries(needed)) {
    for await (const keys of batches(oldKeys(files, folder, before))) {
      signal.throwIfAborted()
      const kept = await need(keys)
      const orphans = keys.filter((key) => !kept.has(key))
      if (!dryRun) for (const key of orphans) await files.delete(key)
      counts.orphans += orphans.length
    }
  }
  return counts
}

async function* oldKeys(files: Files, folder: string, before: Date): AsyncGenerator<string> {
  for await (const { key, modifiedAt } of files.list(folder)) if (modifiedAt < before) yield key
}

async function* batches(keys: AsyncIterable<string>): AsyncGenerator<string[]> {
  let batch: string[] = []
  for await (const key of keys) {
    batch.push(key)
    if (batch.length < atOnce) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
