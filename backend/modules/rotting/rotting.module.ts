import type { Database } from '../../kernel/db/database.ts'
import type { Module } from '../../kernel/module.ts'
import { deadlineSubscription } from './deadlines.ts'

/** Keeps right when deals begin to rot, also where the days of their stage change. */
export function rottingModule(deps: { db: Database }): Module {
  return { name: 'rotting', subscriptions: [deadlineSubscription(deps)] }
}
