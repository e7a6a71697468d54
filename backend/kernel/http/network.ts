import { isIPv6 } from 'node:net'

/**
 * What stands for where somebody comes from: an IPv4 address, and of an IPv6 address its first 64 bits, as a subscriber
 * has all that begin with them (RFC 6177). Empty when it is not known.
 */
export function networkOf(ip: string | null): string {
  const address = (ip ?? '').replace(/%.*$/, '').toLowerCase()
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address) ?? []
  if (mapped !== undefined) return mapped
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0')
  const groups = [...left, ...zeros, ...right].slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16))
  return `${groups.join(':')}::/64`
}
