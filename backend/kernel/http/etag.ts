import { invalidMember } from '../errors.ts'

/** The strong validator of a version (RFC 9110 section 8.8.3). */
export const etagOf = (version: number): string => `"${version}"`

/**
 * The versions that `If-Match` allows; null when any will do. A weak validator never matches; what is no list of
 * validators is 400.
 */
export function readIfMatch(header: string | undefined): readonly number[] | null {
  if (header === undefined || header.trim() === '*') return null
  return tagsOf(header, 'If-Match').flatMap(({ weak, value }) =>
    !weak && /^\d{1,9}$/.test(value) ? [Number(value)] : [],
  )
}

/** Whether `If-None-Match` names the version: then a read is 304. Weak comparison. */
export function noneMatches(header: string | undefined, version: number): boolean {
  if (header === undefined) return false
  if (header.trim() === '*') return true
  return tagsOf(header, 'If-None-Match').some(({ value }) => value === String(version))
}

function tagsOf(header: string, name: string): { weak: boolean; value: string }[] {
  const list = /^\s*(W\/)?"[\x21\x23-\x7e\x80-\xff]*"\s*(,\s*(W\/)?"[\x21\x23-\x7e\x80-\xff]*"\s*)*$/
  if (!list.test(header)) throw invalidMember(name, 'must be a list of entity tags such as "3"')
  return [...header.matchAll(/(W\/)?"([^"]*)"/g)].map(([, weak, value]) => ({
    weak: weak !== undefined,
    value: value ?? '',
  }))
}
