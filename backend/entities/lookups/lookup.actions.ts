import type { z } from 'zod'
import type { Tx } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import type { Expected, Repository, Values } from '../../kernel/entity/repository.ts'
import { refuseAltered } from '../../kernel/entity/sent-back.ts'
import { conflict, duplicate, forbidden, invalidMember, notFound, rule } from '../../kernel/errors.ts'
import { newId } from '../../kernel/ids.ts'
import { builtInLists, type Item, type itemChange, type itemInput } from './lookup.entity.ts'
import { countLists, findHolding, findList, holdersOf, type List, waitForNewLists } from './lookup.queries.ts'
import { replaceValue } from './replace.ts'

const mostItems = 1_000
const mostLists = 200

/** Puts an item into a list; the first one of a list that is not there makes the list. */
export async function addItem(
  tx: Tx,
  lookups: Repository,
  name: string,
  input: z.output<typeof itemInput>,
): Promise<{ item: Item; list: List }> {
  refuse(tx)
  const list = (await findList(tx, name, 'to change')) ?? (await firstList(tx, lookups, name))
  const { value = input.label ?? '', label = value, labels = {}, color = null, active = true } = input
  const order = input.order ?? Math.max(0, ...list.items.map((item) => item.order)) + 1
  if (list.items.some((item) => item.value === value)) throw duplicate('value', 'value is in this list already')
  if (list.items.length >= mostItems) throw rule('LIST_FULL', `A list holds at most ${mostItems} items`)
  const item: Item = { id: newId(), value, label, labels, order, color, active }
  return { item, list: await put(tx, lookups, list, [...list.items, item], null) }
}

/** Changes how an item is shown, or takes it out of use. Records are not touched: they hold its value. */
export async function changeItem(
  tx: Tx,
  lookups: Repository,
  name: string,
  key: string,
  { id, value, ...change }: z.output<typeof itemChange> & Values,
  expected: Expected,
): Promise<{ item: Item; list: List }> {
  refuse(tx)
  const { list, item } = await heldItem(tx, name, key)
  refuseAltered(item, { id, value })
  const changed: Item = { ...item, ...withoutAbsent(change) }
  const items = list.items.map((each) => (each.id === item.id ? changed : each))
  return { item: changed, list: await put(tx, lookups, list, items, expected) }
}

/** What taking an item out stands on: the lists, and the records that hold their values. */
export interface Holding {
  readonly lookups: Repository
  readonly entities: ReadonlyMap<string, Entity>
  repository(type: string): Repository
}

/**
 * Takes an item out of its list. One that records hold stays, or they would show a value that nobody explains; with another
 * item of the list they hold that one from now on.
 */
export async function removeItem(
  tx: Tx,
  { lookups, entities, repository }: Holding,
  name: string,
  key: string,
  replaceWith: string | undefined,
  expected: Expected,
): Promise<void> {
  refuse(tx)
  const { list, item } = await heldItem(tx, name, key)
  const holders = holdersOf(entities, name)
  if (replaceWith !== undefined)
    await replaceValue(tx, repository, holders, item.value, replacementOf(list, item, replaceWith).value)
  for (const holder of holders) {
    const [held] = await findHolding(tx, holder, item.value, 1)
    if (held !== undefined)
      throw conflict(
        `There are ${holder.entity.path} with the ${holder.member} ${item.value}: say replaceWith, or set active to false instead`,
      )
  }
  const items = list.items.filter((each) => each.id !== item.id)
  await put(tx, lookups, list, items, expected)
}

function replacementOf(list: List, item: Item, key: string): Item {
  const found = itemOf(list, key)
  if (!found || found.id === item.id || !found.active)
    throw invalidMember('replaceWith', 'must be another active item of this list', 'invalid_reference')
  return found
}

/** Changes how a list is called, and whether it is all that may be held. */
export async function changeList(
  tx: Tx,
  lookups: Repository,
  name: string,
  { label, restricted, ...readOnly }: { label?: string | undefined; restricted?: boolean | undefined } & Values,
  expected: Expected,
): Promise<List> {
  refuse(tx)
  const list = await held(tx, name)
  refuseAltered({ ...list, builtIn: builtInLists.has(name) }, readOnly)
  return listOf(await lookups.update(tx, list.id, withoutAbsent({ label, restricted }), { expected }))
}

/** Takes a list of the tenant's own away. */
export async function removeList(tx: Tx, lookups: Repository, name: string, expected: Expected): Promise<void> {
  refuse(tx)
  const list = await held(tx, name)
  if (builtInLists.has(name)) throw rule('BUILT_IN_LIST', 'Records take their values from this list: it stays')
  await lookups.remove(tx, list.id, expected)
}

function refuse(tx: Tx): void {
  if (tx.ctx.rights.scope('lookup', 'update') === 'none') throw forbidden('Only administrators change pick lists')
}

/** The list that is not there yet: of two who make it at once, the second finds that of the first. */
async function firstList(tx: Tx, lookups: Repository, name: string): Promise<List> {
  await waitForNewLists(tx)
  return (await findList(tx, name, 'to change')) ?? makeList(tx, lookups, name)
}

async function makeList(tx: Tx, lookups: Repository, name: string): Promise<List> {
  if ((await countLists(tx)) >= mostLists) throw rule('TOO_MANY_LISTS', `A tenant has at most ${mostLists} pick lists`)
  const label = name.charAt(0).toUpperCase() + name.slice(1).replaceAll('-', ' ')
  return listOf(await lookups.create(tx, { list: name, label }))
}

async function held(tx: Tx, name: string): Promise<List> {
  const list = await findList(tx, name, 'to change')
  if (!list) throw notFound()
  return list
}

/** An item by its id or its value. */
async function heldItem(tx: Tx, name: string, key: string): Promise<{ list: List; item: Item }> {
  const list = await held(tx, name)
  const item = itemOf(list, key)
  if (!item) throw notFound()
  return { list, item }
}

const itemOf = ({ items }: List, key: string): Item | undefined =>
  items.find(({ id }) => id === key.toLowerCase()) ?? items.find(({ value }) => value === key)

const put = async (
  tx: Tx,
  lookups: Repository,
  list: List,
  items: readonly Item[],
  expected: Expected,
): Promise<List> => listOf(await lookups.update(tx, list.id, { items }, { expected }))

const listOf = ({ json }: { json: string }): List => JSON.parse(json)

const withoutAbsent = (values: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
