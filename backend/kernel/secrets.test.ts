import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createSecrets } from './secrets.ts'

const key = () => randomBytes(32).toString('hex')
const [old, fresh] = [key(), key()]

test('a secret opens for its purpose, and looks different each time', () => {
  const secrets = createSecrets([old])
  const [first, second] = [secrets.seal('JBSWY3DP 你好', 'totp 1'), secrets.seal('JBSWY3DP 你好', 'totp 1')]
  expect(first).toMatch(/^v1:[0-9a-f]{8}:[\w-]+$/)
  expect(first).not.toBe(second)
  expect([secrets.open(first, 'totp 1'), secrets.open(second, 'totp 1')]).toEqual(['JBSWY3DP 你好', 'JBSWY3DP 你好'])
  expect(secrets.open(secrets.seal('', 'x'), 'x')).toBe('')
})

test('it opens for no other purpose, under no other key, and not when a bit of it has changed', () => {
  const secrets = createSecrets([old])
  const sealed = secrets.seal('JBSWY3DP', 'totp 1')
  expect(() => secrets.open(sealed, 'totp 2')).toThrow()
  expect(() => createSecrets([fresh]).open(sealed, 'totp 1')).toThrow('not among ours')
  for (let at = sealed.lastIndexOf(':') + 1; at < sealed.length - 1; at++) {
    const changed = sealed.slice(0, at) + (sealed[at] === 'A' ? 'B' : 'A') + sealed.slice(at + 1)
    expect(() => secrets.open(changed, 'totp 1')).toThrow()
  }
  for (const wrong of ['', 'JBSWY3DP', 'v2:12345678:AAAA', sealed.slice(0, -30)])
    expect(() => secrets.open(wrong, 'totp 1')).toThrow()
})

test('a new key opens what the old one sealed while the old one is known, and seals it anew', () => {
  const before = createSecrets([old])
  const sealed = before.seal('JBSWY3DP', 'totp 1')
  const both = createSecrets([fresh, old.toUpperCase()])
  const anew = both.reseal(sealed, 'totp 1')
  expect([sealed.startsWith(before.prefix), anew.startsWith(both.prefix)]).toEqual([true, true])
  expect(createSecrets([fresh]).open(anew, 'totp 1')).toBe('JBSWY3DP')
})
