import { randomUUIDv7 } from 'node:crypto'

/** A new UUIDv7 (RFC 9562 section 5.7): sorts by the time it was made. */
export const newId = (): string => randomUUIDv7()

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Whether a text is a UUID in its canonical form, of any version. */
export const isId = (text: unknown): text is string => typeof text === 'string' && uuid.test(text)
