import { randomBytes } from 'node:crypto'
import type { TestApp } from '../app.ts'
import type { Cast } from '../cast.ts'
import type { Client } from '../client.ts'

/** What a call of an operation needs beside its path. */
export interface Call {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: string
  readonly body?: unknown
  /** Who calls it instead of Alice. */
  readonly as?: Client
}

/** Makes, in Alice's tenant, what one successful call needs. */
export type Example = (house: House) => Promise<Call>

/** Examples by the `operationId` of what they call. */
export type Examples = Readonly<Record<string, Example>>

export type House = Cast & Pick<TestApp, 'url' | 'config'>

/** Calls an operation of the document as somebody. Paths outside of `/api/v1` are called as they are. */
export function callOperation(who: Client, method: string, template: string, call: Call) {
  const filled = template.replace(/\{(\w+)\}/g, (_all, name: string) => {
    const value = call.params?.[name]
    if (value === undefined) throw new Error(`${method} ${template} has no example of ${name}`)
    return value
  })
  const path = filled.startsWith('/api/v1') ? filled.slice('/api/v1'.length) : `/${filled}`
  const isForm = call.body instanceof FormData || call.body instanceof URLSearchParams
  const body = call.body === undefined ? undefined : isForm ? call.body : JSON.stringify(call.body)
  return who.raw(
    method.toUpperCase(),
    call.query ? `${path}?${call.query}` : path,
    body as string | FormData | URLSearchParams,
    {
      ...(body && !isForm ? { 'content-type': 'application/json' } : {}),
    },
  )
}

/** Of a call that needs nothing. */
export async function nothing(): Promise<Call> {
  return {}
}

/** Of a call about a record of a type, with a body if it takes one. */
export function built(type: string, body?: (cast: Cast) => unknown): Example {
  return async (cast) => ({ ...at((await cast.alice.build(type)).id), ...(body ? { body: body(cast) } : {}) })
}

export function at(id: string): Call {
  return { params: { id } }
}

/** A name that no other example has. */
export function unique(name: string): string {
  return `${name}${randomBytes(4).toString('hex')}`
}
