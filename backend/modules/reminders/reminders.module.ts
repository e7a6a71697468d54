import type { Database } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import type { Module } from '../../kernel/module.ts'
import { reminderSubscription } from './planner.ts'
import { remind } from './speaker.ts'

/** Tasks that are due or overdue say so, to each assignee at his own time. */
export function remindersModule({ db, task }: { db: Database; task: Entity }): Module {
  return {
    name: 'reminders',
    subscriptions: [reminderSubscription()],
    schedules: [
      { name: 'tasks.remind', queue: 'notifications', cron: '* * * * *', run: (turn) => remind(db, task, turn) },
    ],
  }
}
