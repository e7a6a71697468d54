import type { Tx } from '../db/database.ts'
import type { Changed, Repository } from './repository.ts'

/** Every way of writing records. */
export type Writes = Omit<Repository, 'entity' | 'get' | 'findByExternalId'>

/** Records of which every way of writing is said anew: one that the engine learns does not compile until it is decided here. */
export const wrapped = ({ entity, get, findByExternalId }: Repository, writes: Writes): Repository => ({
  entity,
  get,
  findByExternalId,
  ...writes,
})

/** What is done around a write that changes one record. */
export type Around = (tx: Tx, id: string, write: (tx: Tx) => Promise<Changed>) => Promise<Changed>

/** Does the same around every write that changes one record. */
export const aroundEach = (records: Repository, around: Around) =>
  ({
    update: (tx, id, ...rest) => around(tx, id, (inner) => records.update(inner, id, ...rest)),
    replace: (tx, id, ...rest) => around(tx, id, (inner) => records.replace(inner, id, ...rest)),
    derive: (tx, id, ...rest) => around(tx, id, (inner) => records.derive(inner, id, ...rest)),
    rewrite: (tx, id, ...rest) => around(tx, id, (inner) => records.rewrite(inner, id, ...rest)),
    retire: (tx, id, ...rest) => around(tx, id, (inner) => records.retire(inner, id, ...rest)),
    remove: (tx, id, ...rest) => around(tx, id, (inner) => records.remove(inner, id, ...rest)),
    restore: (tx, id, ...rest) => around(tx, id, (inner) => records.restore(inner, id, ...rest)),
    archive: (tx, id, ...rest) => around(tx, id, (inner) => records.archive(inner, id, ...rest)),
    unarchive: (tx, id, ...rest) => around(tx, id, (inner) => records.unarchive(inner, id, ...rest)),
  }) satisfies Pick<Repository, ChangeName>

/** The writes that change one record. */
type ChangeName = {
  [Name in keyof Writes]: Writes[Name] extends (tx: Tx, id: string, ...rest: never) => Promise<Changed> ? Name : never
}[keyof Writes]
