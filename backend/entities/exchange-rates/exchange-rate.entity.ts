import { z } from 'zod'
import { defineEntity } from '../../kernel/entity/define.ts'
import { currency, date, decimal } from '../../kernel/entity/fields.ts'

const perUnit = z
  .number()
  .positive()
  .max(1e11)
  .refine((value) => Number(value.toFixed(12)) === value, { message: 'must have at most 12 decimals' })

/** What a unit of a currency is worth in the tenant's own, from a day until the next rate of that currency begins. */
export const exchangeRate = defineEntity({
  type: 'exchange_rate',
  path: 'exchange-rates',
  table: 'exchange_rates',
  fields: {
    currency: currency({ required: true, fixed: true, filter: ['eq', 'in'], example: 'EUR' }),
    rate: {
      ...decimal({ required: true, filter: [], describe: "Units of the tenant's currency for one of this currency" }),
      schema: perUnit,
      type: 'numeric',
      print: (column) => `trim_scale(${column})`,
    },
    validFrom: date({ required: true, sort: true }),
  },
  title: (record) => `${record.currency} from ${record.validFrom}`,
  example: { currency: 'EUR', rate: 1.0845, validFrom: '2026-11-01' },
})

/** SQL of the rate that brings a currency home on a day: 1 from home itself, null where none had begun. */
export const rateSql = (tenant: string, currency: string, home: string, day: string): string =>
  `case when ${currency} = ${home} then 1 else exchange_rate_at(${tenant}, ${currency}, ${day}) end`

/** SQL of the sum of converted amounts of some rows, as money is kept. */
export const convertedSql = (amount: string, which: string): string =>
  `trim_scale(round(coalesce(sum(${amount}) filter (where ${which}), 0), 4))`
