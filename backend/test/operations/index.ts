import { onAccounts } from './accounts.ts'
import type { Examples } from './call.ts'
import { onMachines } from './machines.ts'
import { onNews } from './news.ts'
import { onPeople } from './people.ts'
import { onPlatform } from './platform.ts'
import { onRecords } from './records.ts'
import { onSettings } from './settings.ts'
import { onTables } from './tables.ts'

/** One successful call of every operation, by its `operationId`. An operation that is missing here fails the tests that walk them. */
export const operations: Examples = {
  ...onRecords,
  ...onSettings,
  ...onPeople,
  ...onAccounts,
  ...onMachines,
  ...onNews,
  ...onTables,
  ...onPlatform,
}

export { type Call, callOperation } from './call.ts'
