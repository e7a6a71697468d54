import sql, { raw, type Sql } from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { timeSql } from '../../kernel/db/print-time.ts'
import type { LineItem } from './line-item.ts'

/** What the lines of a deal come to. */
export interface LineTotals {
  readonly net: number
  readonly tax: number
  readonly gross: number
}

/** Prints a line of alias `l`, whose deal is `d`, as the API shows it. */
export const printed =
  raw(`jsonb_build_object('id', l.id, 'productId', l.product_id, 'name', l.name, 'quantity', trim_scale(l.quantity),
  'unitPrice', trim_scale(l.unit_price), 'discountPercent', trim_scale(l.discount_percent), 'discountAmount', trim_scale(l.discount_amount),
  'taxPercent', trim_scale(l.tax_percent), 'currency', d.currency, 'total', trim_scale(l.total), 'tax', trim_scale(l.tax),
  'position', l.position, 'createdAt', ${timeSql('l.created_at')}, 'updatedAt', ${timeSql('l.updated_at')}, 'createdById', l.created_by_id, 'version', l.version)`)

/** The lines of a deal in their order, and what they come to. */
export async function readLines(tx: Tx, dealId: string): Promise<{ lines: LineItem[]; totals: LineTotals }> {
  const [row] = await tx.query<{ lines: LineItem[]; totals: LineTotals }>(sql`
    select coalesce(jsonb_agg(${printed} order by l.position, l.id), '[]') as lines,
      jsonb_build_object('net', trim_scale(coalesce(sum(l.total), 0)), 'tax', trim_scale(coalesce(sum(l.tax), 0)),
        'gross', trim_scale(coalesce(sum(l.total + l.tax), 0))) as totals
    from deal_line_items l join deals d on d.tenant_id = l.tenant_id and d.id = l.deal_id
    where l.tenant_id = ${tx.ctx.tenantId} and l.deal_id = ${dealId}`)
  return row ?? { lines: [], totals: { net: 0, tax: 0, gross: 0 } }
}

/** A line of a deal; undefined when it has none such. */
export async function findLine(tx: Tx, dealId: string, id: string): Promise<LineItem | undefined> {
  const [row] = await tx.query<{ line: LineItem }>(printedLine(tx, sql`l.deal_id = ${dealId} and l.id = ${id}`))
  return row?.line
}

export const printedLine = (tx: Tx, which: Sql): Sql => sql`
  select ${printed} as line from deal_line_items l join deals d on d.tenant_id = l.tenant_id and d.id = l.deal_id
  where l.tenant_id = ${tx.ctx.tenantId} and ${which}`
