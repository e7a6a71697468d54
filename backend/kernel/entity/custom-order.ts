import type { Binder } from '../db/plan.ts'
import { type CustomField, isNumeric } from './custom.ts'
import type { Entity } from './define.ts'

/** What a list runs by when it is sorted by a custom field. Of several values that a record has, it is the first. */
export interface CustomOrder {
  readonly custom: CustomField
  /** The parameter that holds the field's id. */
  readonly parameter: string
}

/** The type of a custom field's value in the order, and in a cursor. */
export const orderType = ({ custom }: CustomOrder): string => (isNumeric(custom.type) ? 'double precision' : 'text')

/** SQL for the value of a row `s` of the side table as it is sorted: text by a collation of people. */
export const orderColumn = ({ custom }: CustomOrder): string =>
  isNumeric(custom.type) ? 's.number_value' : 's.text_value collate "und-x-icu"'

/** SQL for the value of record `r`; null when it has none. */
export const orderValueSql = (order: CustomOrder, bind: Binder): string =>
  `(select ${orderColumn(order)} from custom_values s where ${ofField(order, bind)} and s.record_id = r.id and s.place = 0)`

/** SQL for the records that have a value, each with it as `side_key`, in the order of the side table's index. */
export const recordsInOrder = (entity: Entity, order: CustomOrder, bind: Binder): string =>
  `select r.*, ${orderColumn(order)} as side_key, s.record_id as side_id from custom_values s
    cross join lateral (select r.* from ${entity.table} r where r.tenant_id = ${bind('tenant', 'uuid')} and r.id = s.record_id offset 0) r
    where ${ofField(order, bind)} and s.place = 0`

/**
 * SQL for the records without a value, in the columns of {@link recordsInOrder}. `after` is what a cursor asks of an id, said
 * of both sides: else all that have a value before it would be gone through to tell who has none behind it.
 */
export function recordsWithout(
  entity: Entity,
  order: CustomOrder,
  after: ((id: string) => string) | null,
  bind: Binder,
): string {
  const behind = (id: string) => (after ? ` and ${after(id)}` : '')
  const none = isNumeric(order.custom.type) ? 'null::double precision' : 'null::text collate "und-x-icu"'
  return `select r.*, ${none} as side_key, r.id as side_id from ${entity.table} r
    where r.tenant_id = ${bind('tenant', 'uuid')}${behind('r.id')} and not exists (
      select from custom_values s where ${ofField(order, bind)} and s.record_id = r.id${behind('s.record_id')})`
}

const ofField = ({ parameter }: CustomOrder, bind: Binder): string =>
  `s.tenant_id = ${bind('tenant', 'uuid')} and s.field_id = ${bind(parameter, 'uuid')}`
