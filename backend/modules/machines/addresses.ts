import { BlockList, isIP } from 'node:net'
import { LRUCache } from 'lru-cache'

/** Whether a text is an address or a range of addresses, IPv4 or IPv6. */
export function isAddressRange(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
}

/** Whether an address lies in one of the ranges; no ranges hold every address, and an unknown address lies in none. */
export function liesIn(address: string | null, ranges: readonly string[]): boolean {
  if (ranges.length === 0) return true
  const family = address === null ? 0 : isIP(address)
  return address !== null && family !== 0 && listOf(ranges).check(address, family === 4 ? 'ipv4' : 'ipv6')
}

const lists = new LRUCache<string, BlockList>({ max: 1_000 })

function listOf(ranges: readonly string[]): BlockList {
  const key = ranges.join()
  const known = lists.get(key)
  if (known) return known
  const list = new BlockList()
  for (const range of ranges) {
    const [address = '', bits] = range.split('/')
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  lists.set(key, list)
  return list
}
