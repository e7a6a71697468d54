import type { Files } from '../../adapters/files/files.port.ts'
import type { Module } from '../../kernel/module.ts'
import { type Needed, sweep } from './sweep.ts'

/** Keeps the store of files free of what nobody knows of any more. */
export function filesModule({ files, needed }: { files: Files; needed: Readonly<Record<string, Needed>> }): Module {
  return {
    name: 'files',
    schedules: [
      {
        name: 'files.sweep',
        queue: 'cleanup',
        cron: '10 3 * * *',
        timeout: 1_800_000,
        run: (turn) => sweep(files, needed, turn),
      },
    ],
  }
}
