import { addUninvited, removeUser, updateUser } from '../../entities/users/user.actions.ts'
import type { Tx } from '../../kernel/db/database.ts'
import type { Made } from '../../kernel/entity/insert.ts'
import type { Changed, Expected, Repository, Values } from '../../kernel/entity/repository.ts'

/** How records of a noun are written by an import and its undoing: by the engine, and by a noun's own verbs where it has them. */
export interface Writer {
  createMany(tx: Tx, records: readonly { id?: string; values: Values }[]): Promise<Made[]>
  /** `given` are records that it may refer to whether or not the caller reads them. */
  update(tx: Tx, id: string, values: Values, expected: Expected, given?: readonly string[]): Promise<Changed>
  remove(tx: Tx, id: string, expected: Expected): Promise<unknown>
}

/** The writer of a noun. */
export function writerOf(repository: Repository): Writer {
  if (repository.entity.type === 'user') {
    return {
      createMany: (tx, records) => addUninvited(tx, repository, records),
      update: (tx, id, values, expected) => updateUser(tx, repository, id, values, expected),
      remove: (tx, id, expected) => removeUser(tx, repository, id, expected),
    }
  }
  return {
    createMany: (tx, records) => repository.createMany(tx, records),
    update: (tx, id, values, expected, given = []) => repository.update(tx, id, values, { expected, given }),
    remove: (tx, id, expected) => repository.remove(tx, id, expected),
  }
}
