import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { refuseUnseen, refuseUnwritable } from '../../kernel/entity/field-rules.ts'
import type { Expected, Repository } from '../../kernel/entity/repository.ts'
import { belongingOf } from '../../kernel/entity/scope.ts'
import { refuseAltered } from '../../kernel/entity/sent-back.ts'
import { forbidden, invalidMember, notFound, Problem, rule, stale } from '../../kernel/errors.ts'
import { newId } from '../../kernel/ids.ts'
import { reaches } from '../../kernel/rights.ts'
import { findLine, printed } from './line-item.queries.ts'
import type { ChangedLine, LineItem, NewLine } from './line-item.ts'

/** The nouns that lines are made of. */
export interface House {
  repository(type: string): Repository
}

/** How many lines a deal has at most: they are read as one page. */
export const mostLines = 200

const largestValue = 99_999_999_999.9999

/** Adds a line to a deal; its name and price are the product's unless it says others. The caller opens the transaction. */
export async function addLine(tx: Tx, house: House, dealId: string, sent: NewLine): Promise<LineItem> {
  const currency = await takeDeal(tx, house, dealId)
  refuseCurrency(currency, sent.currency)
  const product = sent.productId ? await productOf(tx, house, sent.productId) : null
  const name = sent.name ?? product?.name
  if (product && sent.unitPrice === undefined) refuseUnseen(tx.ctx.rights, 'product', ['price', 'currency'])
  const unitPrice = sent.unitPrice ?? product?.price ?? undefined
  if (name === undefined) throw invalidMember('name', 'is required for a line without a product', 'required')
  if (unitPrice === undefined) throw invalidMember('unitPrice', 'is required, as no product says it', 'required')
  if (sent.unitPrice === undefined && product && product.currency !== currency)
    throw mismatch(`The product's price is in ${product.currency}; send unitPrice in ${currency}`)
  const id = newId()
  const { quantity = 1, productId = null, discountPercent = null, discountAmount = null, taxPercent = null } = sent
  const [added] = await tx.query<{ before: number }>(sql`
    with held as (
      select count(*)::integer as before, coalesce(floor(max(l.position)), 0) + 1 as next
      from deal_line_items l where l.tenant_id = ${tx.ctx.tenantId} and l.deal_id = ${dealId}
    ), made as (
      insert into deal_line_items (tenant_id, id, deal_id, product_id, name, quantity, unit_price, discount_percent, discount_amount,
                                   tax_percent, position, created_by_id)
      select ${tx.ctx.tenantId}, ${id}, ${dealId}, ${productId}, ${name}, ${quantity}, ${unitPrice}, ${discountPercent}, ${discountAmount},
             ${taxPercent}, coalesce(${sent.position ?? null}, h.next), ${tx.ctx.actor.id} from held h
    ) select before from held`)
  if ((added?.before ?? 0) >= mostLines) throw rule('TOO_MANY_LINES', `A deal has at most ${mostLines} lines`)
  return tell(tx, house, dealId, 'line_added', null, await lineOf(tx, dealId, id))
}

/** Changes a line of a deal: absent leaves, null clears. Another kind of discount takes the place of the one that was. */
export async function changeLine(
  tx: Tx,
  house: House,
  dealId: string,
  id: string,
  sent: ChangedLine,
  expected: Expected,
): Promise<LineItem> {
  const currency = await takeDeal(tx, house, dealId)
  const before = await lineOf(tx, dealId, id)
  if (expected !== null && !expected.includes(before.version)) throw stale()
  refuseCurrency(currency, sent.currency)
  const { productId, name, quantity, unitPrice, discountPercent, discountAmount, taxPercent, position, ...rest } = sent
  const { currency: _same, ...readOnly } = rest
  refuseAltered({ ...before }, readOnly)
  if (productId && productId !== before.productId) await productOf(tx, house, productId)
  const discounts = discountsOf(before, discountPercent, discountAmount)
  await tx.query(sql`
    update deal_line_items l set product_id = w.product_id, name = w.name, quantity = w.quantity, unit_price = w.unit_price,
      discount_percent = w.discount_percent, discount_amount = w.discount_amount, tax_percent = w.tax_percent, position = w.position,
      version = l.version + 1, updated_at = greatest(now(), l.updated_at)
    from (values (
      ${productId === undefined ? before.productId : productId}::uuid, ${name ?? before.name}::text, ${quantity ?? before.quantity}::numeric,
      ${unitPrice ?? before.unitPrice}::numeric, ${discounts.percent}::numeric, ${discounts.amount}::numeric,
      ${taxPercent === undefined ? before.taxPercent : taxPercent}::numeric, ${position ?? before.position}::double precision
    )) w(product_id, name, quantity, unit_price, discount_percent, discount_amount, tax_percent, position)
    where l.tenant_id = ${tx.ctx.tenantId} and l.id = ${id}
      and (l.product_id, l.name, l.quantity, l.unit_price, l.discount_percent, l.discount_amount, l.tax_percent, l.position)
        is distinct from (w.product_id, w.name, w.quantity, w.unit_price, w.discount_percent, w.discount_amount, w.tax_percent, w.position)`)
  const after = await lineOf(tx, dealId, id)
  return after.version === before.version ? before : tell(tx, house, dealId, 'line_changed', before, after)
}

/** Takes a line out of a deal. */
export async function removeLine(tx: Tx, house: House, dealId: string, id: string, expected: Expected): Promise<void> {
  await takeDeal(tx, house, dealId)
  const before = await lineOf(tx, dealId, id)
  if (expected !== null && !expected.includes(before.version)) throw stale()
  await tx.query(sql`delete from deal_line_items l where l.tenant_id = ${tx.ctx.tenantId} and l.id = ${id}`)
  await tell(tx, house, dealId, 'line_removed', before, null)
}

/**
 * Gives deals that the caller has just written a line of one for each of their products, as imports do. A product that a
 * deal has a line of already is not added again; one whose price is in another currency, or which has none, is added at 0.
 */
export async function addProductLines(
  tx: Tx,
  house: House,
  wanted: readonly { dealId: string; productIds: readonly string[] }[],
): Promise<void> {
  const { tenantId, actor } = tx.ctx
  const rows = wanted.flatMap(({ dealId, productIds }) =>
    [...new Set(productIds)].map((productId, place) => ({ id: newId(), dealId, productId, place: place + 1 })),
  )
  const dealIds = rows.map(({ dealId }) => dealId)
  await tx.query(sql`
    select 1 from deals where tenant_id = ${tenantId} and id = any(${dealIds}::uuid[]) order by id for update`)
  const added = await tx.query<{ dealId: string; line: LineItem }>(sql`
    with l as (
      insert into deal_line_items (tenant_id, id, deal_id, product_id, name, quantity, unit_price, position, created_by_id)
      select d.tenant_id, w.id, d.id, p.id, p.name, 1, coalesce(case when p.currency = d.currency then p.price end, 0),
        w.place + coalesce((select floor(max(b.position)) from deal_line_items b where b.tenant_id = d.tenant_id and b.deal_id = d.id), 0), ${actor.id}
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) w(id uuid, "dealId" uuid, "productId" uuid, place integer)
      join deals d on d.tenant_id = ${tenantId} and d.id = w."dealId" and d.deleted_at is null
      join products p on p.tenant_id = ${tenantId} and p.id = w."productId"
      where not exists (select 1 from deal_line_items b where b.tenant_id = d.tenant_id and b.deal_id = d.id and b.product_id = p.id)
      returning *
    )
    select l.deal_id as "dealId", ${printed} as line from l join deals d on d.tenant_id = l.tenant_id and d.id = l.deal_id order by l.id`)
  for (const [dealId, lines] of Map.groupBy(added, (one) => one.dealId)) {
    const changes = lines.map(({ line }) => ({ before: null, after: line }))
    await followLines(tx, house, dealId, 'line_added', changes)
  }
}

/** Throws 403 for whom his role hides what the lines of deals come to. */
export const refuseUnseenLines = ({ ctx }: Tx): void =>
  refuseUnseen(ctx.rights, 'deal', ['lineItems', 'value', 'linesTotal', 'currency'])

/** Locks a deal that the caller may change, so that of two lines at once both count; gives its currency. */
async function takeDeal(tx: Tx, house: House, id: string): Promise<string> {
  const deals = house.repository('deal')
  refuseUnseenLines(tx)
  refuseUnwritable(tx.ctx.rights, deals.entity, ['lineItems'])
  await tx.query(sql`select 1 from deals where tenant_id = ${tx.ctx.tenantId} and id = ${id} for update`)
  const deal = JSON.parse((await deals.get(tx, id)).json)
  if (!reaches(tx.ctx.rights.scope('deal', 'update'), belongingOf(deals.entity, deal)))
    throw forbidden('Your role may not change this deal')
  return deal.currency
}

function refuseCurrency(currency: string, sent: string | undefined): void {
  if (sent !== undefined && sent !== currency)
    throw mismatch(`The lines of this deal are in its currency; send the price in ${currency}`)
}

const mismatch = (detail: string): Problem => rule('CURRENCY_MISMATCH', detail)

async function productOf(
  tx: Tx,
  house: House,
  id: string,
): Promise<{ name: string; price: number | null; currency: string }> {
  try {
    return JSON.parse((await house.repository('product').get(tx, id)).json)
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 404) throw error
    throw invalidMember('productId', 'must refer to records that you may read', 'invalid_reference')
  }
}

function discountsOf(
  before: LineItem,
  percent: number | null | undefined,
  amount: number | null | undefined,
): { percent: number | null; amount: number | null } {
  if (typeof percent === 'number') return { percent, amount: null }
  if (typeof amount === 'number') return { percent: null, amount }
  return {
    percent: percent === null ? null : before.discountPercent,
    amount: amount === null ? null : before.discountAmount,
  }
}

async function lineOf(tx: Tx, dealId: string, id: string): Promise<LineItem> {
  const line = await findLine(tx, dealId, id)
  if (!line) throw notFound('This deal has no such line')
  return line
}

/** Tells of a line that came, changed or went. */
async function tell<L extends LineItem | null>(
  tx: Tx,
  house: House,
  dealId: string,
  verb: string,
  before: LineItem | null,
  after: L,
): Promise<L> {
  await followLines(tx, house, dealId, verb, [{ before, after }])
  return after
}

/** Brings a deal in step with its lines, and tells of their changes as one change of the deal. */
async function followLines(
  tx: Tx,
  house: House,
  dealId: string,
  verb: string,
  changes: readonly { before: LineItem | null; after: LineItem | null }[],
): Promise<void> {
  const ids = changes.flatMap(({ after }) => after?.id ?? [])
  const [sums] = await tx.query<{ total: string | null; fits: boolean; discounted: boolean }>(sql`
    select sum(l.total) as total, coalesce(bool_and(abs(l.total) <= ${largestValue}) and abs(sum(l.total)) <= ${largestValue}, true) as fits,
      coalesce(bool_and(l.discount_amount <= abs(l.quantity * l.unit_price)) filter (where l.id = any(${ids}::uuid[]) and l.discount_amount > 0), true) as discounted
    from deal_line_items l where l.tenant_id = ${tx.ctx.tenantId} and l.deal_id = ${dealId}`)
  if (!sums?.discounted) throw invalidMember('discountAmount', 'must not be more than quantity × unitPrice')
  if (!sums.fits) throw rule('VALUE_TOO_LARGE', `The lines of a deal come to at most ${largestValue}`)
  const parts = changes.map(({ before, after }) => ({ field: 'lineItems', oldValue: before, newValue: after }))
  // Whether the caller may was asked when the deal was taken.
  await house.repository('deal').derive(tx, dealId, { linesTotal: sums.total }, { verb, parts, scope: 'all' })
}
