import { knowLastContact } from '../../entities/interactions/planned.ts'
import type { Database } from '../../kernel/db/database.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import type { Module } from '../../kernel/module.ts'

/** What was planned with contacts is their last contact when its time has come. */
export function contactingModule(deps: { db: Database; repository(type: string): Repository }): Module {
  return {
    name: 'contacting',
    schedules: [
      { name: 'contacts.contacted', queue: 'cleanup', cron: '* * * * *', run: (turn) => knowLastContact(deps, turn) },
    ],
  }
}
