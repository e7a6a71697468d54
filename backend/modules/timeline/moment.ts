import { z } from 'zod'

/** The beginning of a span: an RFC 3339 time, or a day, which begins at midnight UTC. Given on as RFC 3339 in UTC. */
export const fromSchema = momentSchema('T00:00:00.000Z')

/** The end of a span, which belongs to it: an RFC 3339 time, or a day, which ends before midnight UTC. */
export const toSchema = momentSchema('T23:59:59.999Z')

function momentSchema(hour: string): z.ZodType<string, string> {
  return z
    .union([z.iso.date(), z.iso.datetime({ offset: true })], { error: 'must be a date or an RFC 3339 time' })
    .transform((text) => new Date(text.length === 10 ? `${text}${hour}` : text))
    .refine((moment) => moment >= first && moment <= last, { message: 'must be between the years 1 and 9999' })
    .transform((moment) => moment.toISOString())
    .meta({ type: 'string', description: 'A date or an RFC 3339 time; both ends belong to the span' })
}

const first = new Date('0001-01-01T00:00:00.000Z')
const last = new Date('9999-12-31T23:59:59.999Z')
