import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { survivorOf } from '../../kernel/entity/aliases.ts'
import { type CustomFields, customProblem } from '../../kernel/entity/custom.ts'
import { refuseUnseen } from '../../kernel/entity/field-rules.ts'
import type { Changed, Expected, Repository, Values } from '../../kernel/entity/repository.ts'
import { belongingOf } from '../../kernel/entity/scope.ts'
import { forbidden, invalid, invalidMember, notFound, Problem, rule, stale } from '../../kernel/errors.ts'
import { reaches } from '../../kernel/rights.ts'
import { maskEach, maskExcerpt } from '../../kernel/sight.ts'
import { carryRelated } from './carry.ts'
import { type Alike, type Candidate, findCandidates } from './lead.queries.ts'

/** What a lead is to become. */
export interface Conversion {
  readonly contactId?: string | undefined
  readonly companyId?: string | undefined
  readonly contact?: Values | undefined
  readonly company?: Values | undefined
  readonly createDeal?: boolean | undefined
  readonly deal?: Values | undefined
  readonly duplicates?: 'ignore' | undefined
}

/** The nouns that a conversion makes and changes. */
export interface House {
  repository(type: string): Repository
  readonly customFields: CustomFields
  readonly alike: Alike
}

/**
 * Makes a contact, a company and a deal of a lead, or uses those that are named, and brings along what hung on the lead.
 * In one transaction: the caller opens it.
 */
export async function convert(
  tx: Tx,
  house: House,
  id: string,
  wanted: Conversion,
  expected: Expected,
): Promise<Changed> {
  refuseContradictions(wanted)
  refuseUnseen(tx.ctx.rights, 'lead', carried)
  const { lead, now } = await takeLead(tx, house, id, expected)
  const { contactId: usedContact, duplicates } = wanted
  const recognised = { ...lead, ...named(wanted.contact), companyName: wanted.company?.name ?? lead.companyName }
  const candidates = duplicates === 'ignore' ? [] : await findCandidates(tx, house.alike, recognised)
  if (usedContact === undefined && candidates.some(({ type }) => type === 'contact')) throw mayBeKnown(candidates)
  const contact = usedContact === undefined ? null : await referred(tx, house, 'contact', usedContact)
  const convertedCompanyId = await companyFor(tx, house, lead, wanted, contact, candidates)
  const convertedContactId = contact
    ? await joined(tx, house, contact, convertedCompanyId)
    : await contactFor(tx, house, lead, wanted, convertedCompanyId)
  const convertedDealId = await dealFor(tx, house, lead, wanted, convertedCompanyId, convertedContactId)
  const converted = await house
    .repository('lead')
    .derive(tx, id, { status: 'converted', convertedAt: now, convertedContactId, convertedCompanyId, convertedDealId })
  const heir = convertedContactId
    ? { type: 'contact', id: convertedContactId }
    : { type: 'company', id: convertedCompanyId ?? '' }
  await carryRelated(tx, house.repository, id, heir)
  return converted
}

/** What goes over to the records that are made: a role may see it there and not in the lead. */
const carried = [
  'firstName',
  'lastName',
  'email',
  'phone',
  'companyName',
  'jobTitle',
  'source',
  'address',
  'tags',
  'customFields',
] as const

function refuseContradictions({ contactId, contact, companyId, company, createDeal, deal }: Conversion): void {
  const either = (path: string) => invalidMember(path, `must be left out when ${path}Id is given`)
  if (contactId !== undefined && contact !== undefined) throw either('contact')
  if (companyId !== undefined && company !== undefined) throw either('company')
  if (createDeal === false && deal !== undefined)
    throw invalidMember('deal', 'must be left out when createDeal is false')
}

/** The lead, locked until the end: of two who convert it, the second finds it converted. */
async function takeLead(tx: Tx, house: House, id: string, expected: Expected): Promise<{ lead: Values; now: string }> {
  const leads = house.repository('lead')
  const [locked] = await tx.query<{ now: Date; owned: boolean }>(sql`
    select now(), exists (select 1 from users u where u.tenant_id = l.tenant_id and u.id = l.owner_id and u.active and u.deleted_at is null) as owned
    from leads l where l.tenant_id = ${tx.ctx.tenantId} and l.id = ${id} and l.deleted_at is null for update of l`)
  if (!locked) throw notFound()
  const { json, version } = await leads.get(tx, id)
  const lead: Record<string, unknown> = JSON.parse(json)
  if (!reaches(tx.ctx.rights.scope('lead', 'update'), belongingOf(leads.entity, lead)))
    throw forbidden('Your role may not change this lead')
  if (lead.status === 'converted') throw rule('INVALID_TRANSITION', 'The lead is converted already')
  if (expected !== null && !expected.includes(version)) throw stale()
  // Who has left owns nothing new: then it is the caller's.
  if (lead.ownerId !== null && !locked.owned) delete lead.ownerId
  return { lead, now: locked.now.toISOString() }
}

const mayBeKnown = (candidates: readonly Candidate[]): Problem =>
  new Problem(
    409,
    'DUPLICATE',
    'The team may know this lead already: repeat with contactId or companyId of a candidate, or with duplicates: "ignore"',
    { told: { candidates: { value: candidates, mask: maskEach(maskExcerpt()) } } },
  )

async function companyFor(
  tx: Tx,
  house: House,
  lead: Values,
  wanted: Conversion,
  contact: Values | null,
  candidates: readonly Candidate[],
): Promise<string | null> {
  const { companyId, company } = wanted
  if (companyId !== undefined) return String((await referred(tx, house, 'company', companyId)).id)
  if (typeof contact?.companyId === 'string' && company === undefined) return contact.companyId
  const name = company?.name ?? lead.companyName
  if (typeof name !== 'string') return null
  const namesakes = candidates.filter((one) => one.type === 'company' && one.name.toLowerCase() === name.toLowerCase())
  // The only one of its name is meant; nobody wants a twin of it.
  const [known] = namesakes
  if (known && namesakes.length === 1 && company === undefined) return known.id
  const { ownerId, address } = lead
  return make(tx, house, 'company', lead, { name, ownerId, address }, company)
}

function contactFor(
  tx: Tx,
  house: House,
  lead: Values,
  wanted: Conversion,
  companyId: string | null,
): Promise<string | null> {
  const { firstName, lastName, email, phone, jobTitle, source, ownerId, address } = lead
  const values = { firstName, lastName, email, phone, jobTitle, source, ownerId, address, companyId }
  const whole: Values = { ...values, ...wanted.contact }
  const isSomebody = [whole.firstName, whole.lastName, whole.email].some((value) => typeof value === 'string')
  return isSomebody || wanted.contact !== undefined
    ? make(tx, house, 'contact', lead, values, wanted.contact)
    : Promise.resolve(null)
}

/** A contact that is known stays as it is; one without a company joins the lead's, where the caller may say so. */
async function joined(tx: Tx, house: House, contact: Values, companyId: string | null): Promise<string> {
  const contacts = house.repository('contact')
  const id = String(contact.id)
  const may = reaches(tx.ctx.rights.scope('contact', 'update'), belongingOf(contacts.entity, contact))
  if (may && companyId !== null && contact.companyId === null)
    await contacts.update(tx, id, { companyId }, { given: [companyId] })
  return id
}

async function dealFor(
  tx: Tx,
  house: House,
  lead: Values,
  wanted: Conversion,
  companyId: string | null,
  contactId: string | null,
): Promise<string | null> {
  const { deal, createDeal = deal !== undefined } = wanted
  if (!createDeal) return null
  const { companyName, name, ownerId, source } = lead
  const contactIds = contactId === null ? [] : [contactId]
  return make(tx, house, 'deal', lead, { name: companyName ?? name, companyId, contactIds, ownerId, source }, deal)
}

/** Makes a record of a lead with its tags and custom fields; what the caller says of it goes before. */
async function make(
  tx: Tx,
  house: House,
  type: 'contact' | 'company' | 'deal',
  lead: Values,
  values: Values,
  said: Values = {},
): Promise<string> {
  const own = typeof said.customFields === 'object' ? said.customFields : {}
  const customFields = { ...(await sameFields(tx, house, type, lead)), ...own }
  const { companyId, contactIds = [] } = values
  const given = [companyId, contactIds].flat().filter((id) => typeof id === 'string')
  try {
    const whole = { tags: lead.tags, ...values, ...named(said), customFields }
    return (await house.repository(type).create(tx, whole, { given })).id
  } catch (error) {
    if (!(error instanceof Problem) || !error.errors || error.status !== 400) throw error
    throw invalid(error.errors.map((member) => ({ ...member, path: `${type}.${member.path}` })))
  }
}

/** The lead's values of custom fields that the other noun has too, under the same key and of the same type. */
async function sameFields(tx: Tx, house: House, type: string, lead: Values): Promise<Values> {
  const held: Values = Object.assign(Object.create(null), lead.customFields)
  const [ours, theirs] = await Promise.all(['lead', type].map((each) => house.customFields.of(tx.ctx, each)))
  const shared = (theirs ?? []).filter((field) => {
    const fits = ours?.some(({ key, type: kind }) => key === field.key && kind === field.type)
    return fits && held[field.key] !== undefined && customProblem(field, held[field.key]) === undefined
  })
  return Object.fromEntries(shared.map(({ key }) => [key, held[key]]))
}

async function referred(tx: Tx, house: House, type: 'contact' | 'company', id: string): Promise<Values> {
  const records = house.repository(type)
  try {
    return JSON.parse((await records.get(tx, (await survivorOf(tx, records.entity, id)) ?? id)).json)
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 404) throw error
    throw invalidMember(`${type}Id`, 'must refer to records that you may read', 'invalid_reference')
  }
}

/** What was said, without the members that were not. */
const named = (values: Values = {}): Values =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
