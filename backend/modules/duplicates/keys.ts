import { domainToASCII } from 'node:url'
import type { Sameness } from '../../kernel/entity/define.ts'
import type { Values } from '../../kernel/entity/repository.ts'
import { nameWords, soundOf } from './names.ts'

/** What two records have in common, exactly or (`sound`, `initials`) perhaps: then their names are compared. */
export type KeyKind = 'email' | 'phone' | 'domain' | 'name' | 'sound' | 'initials'

/** Something by which a record may be the same as another. */
export interface MatchKey {
  readonly kind: KeyKind
  readonly key: string
}

/** The members that keys are made of. */
export const keyMembers = (sameness: Sameness): string[] => [
  ...new Set([
    ...(sameness.email ?? []),
    ...(sameness.phone ?? []),
    ...(sameness.domain ?? []),
    ...sameness.name.members,
  ]),
]

/** The keys of a record, each once. */
export function keysOf(sameness: Sameness, record: Values): MatchKey[] {
  const emails = textsOf(record, sameness.email).map(normalEmail)
  const domains = [
    ...textsOf(record, sameness.domain).map(hostOf),
    ...emails.map((email) => email.slice(email.lastIndexOf('@') + 1)),
  ]
  const all: MatchKey[] = [
    ...keyed('email', emails),
    ...keyed('phone', textsOf(record, sameness.phone).map(normalPhone)),
    ...keyed(
      'domain',
      domains.filter((domain) => domain.includes('.') && !freeMail.test(domain)),
    ),
    ...nameKeys(sameness, record),
  ]
  return [...new Map(all.map((one) => [`${one.kind} ${one.key}`, one])).values()]
}

/** Those of some keys that are among others. */
export const sharedKeys = (some: readonly MatchKey[], others: readonly MatchKey[]): MatchKey[] =>
  some.filter(({ kind, key }) => others.some((other) => other.kind === kind && other.key === key))

/** The name of a record as its words in one text; empty when it has too little of one to mean anything. */
export function comparableName(sameness: Sameness, record: Values): string {
  const { of, members } = sameness.name
  const words = nameWords(textsOf(record, members).join(' '), of)
  // A first name alone is shared by too many; in scripts without spaces one word is the whole name.
  const enough = of === 'organisation' || words.length > 1 || /[^\p{sc=Latn}\p{N}]{2}/u.test(words[0] ?? '')
  return enough ? words.join(' ').slice(0, longestKey) : ''
}

const longestKey = 200

function nameKeys(sameness: Sameness, record: Values): MatchKey[] {
  const name = comparableName(sameness, record)
  if (name === '') return []
  const words = name.split(' ')
  const sound = words.map(soundOf).join(' ')
  const initials = words.flatMap((word, index) =>
    words.length > 1 && word.length > 2
      ? [`${word} ${words.flatMap((other, place) => (place === index ? [] : [other.charAt(0)])).join('')}`]
      : [],
  )
  return [
    { kind: 'name', key: name },
    ...(sound.length > 3 ? keyed('sound', [sound]) : []),
    ...keyed('initials', initials.slice(0, mostWords)),
  ]
}

const mostWords = 6

const keyed = (kind: KeyKind, keys: readonly string[]): MatchKey[] =>
  keys.filter((key) => key !== '').map((key) => ({ kind, key: key.slice(0, 320).toWellFormed() }))

/** In lower case; Gmail reads dots as nothing and drops what follows a plus. */
function normalEmail(email: string): string {
  const at = email.lastIndexOf('@')
  const local = email.slice(0, at).toLowerCase()
  const domain = asciiDomain(email.slice(at + 1))
  if (domain !== 'gmail.com' && domain !== 'googlemail.com') return `${local}@${domain}`
  return `${local.replace(/\+.*$/, '').replaceAll('.', '')}@gmail.com`
}

/** The last nine digits, which a number keeps with and without its country's code and the zero in front. */
function normalPhone(phone: string): string {
  const digits = phone.replace(/(ext|x|#|;).*$/i, '').replace(/\D/g, '')
  return digits.length < 7 ? '' : digits.slice(-9)
}

function hostOf(text: string): string {
  const host = /^https?:/.test(text) ? (URL.parse(text)?.hostname ?? '') : text.replace(/[/:].*$/, '')
  return asciiDomain(host).replace(/^www\./, '')
}

/** What is no domain stays as it is written. */
const asciiDomain = (domain: string): string => domainToASCII(domain) || domain.toLowerCase()

/** Where anybody has a mailbox: the domain says nothing of who it is. */
const freeMail =
  /^(gmail|googlemail|yahoo|ymail|hotmail|outlook|live|msn|icloud|me|mac|aol|gmx|web|t-online|freenet|mail|yandex|rambler|proton|protonmail|pm|tutanota|tuta|zoho|fastmail|hey|qq|163|126|sina|naver|daum|libero|virgilio|orange|wanadoo|free|laposte|sfr|bluewin|uol|bol|terra|comcast|verizon|att|btinternet|sky)\.(com|net|org|de|at|ch|fr|it|es|co\.uk|co\.jp|co\.in|com\.br|com\.au|ca|nl|be|pl|ru|cn|kr|me|eu|us|in|jp)$/

const textsOf = (record: Values, members: readonly string[] = []): string[] =>
  members.flatMap((member) => record[member]).filter((value): value is string => typeof value === 'string')
