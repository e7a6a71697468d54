import { z } from 'zod'
import { type Field, ruled } from './fields.ts'

/** A time zone of the IANA database, as the platform knows it. */
export const timezoneSchema = z
  .string()
  .trim()
  .max(64)
  .refine(isTimezone, { message: 'must be an IANA time zone such as Europe/Berlin' })

/** A BCP 47 language tag. */
export const localeSchema = z
  .string()
  .trim()
  .max(35)
  .refine(isLocale, { message: 'must be a language tag such as en or de-AT' })

/** A member that holds a time zone. */
export const timezone = (): Field<string> => ruled(timezoneSchema, { example: 'Europe/Berlin' })

/** A member that holds a language tag. */
export const locale = (): Field<string> => ruled(localeSchema, { example: 'en' })

function isTimezone(name: string): boolean {
  try {
    // A fixed offset such as +02:00 is accepted by Intl and is no zone.
    return /^[A-Za-z]/.test(name) && new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

function isLocale(tag: string): boolean {
  try {
    return Intl.getCanonicalLocales(tag).length === 1
  } catch {
    return false
  }
}
