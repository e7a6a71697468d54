import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RateStore } from '../../kernel/http/rate-store.port.ts'

/** What every store of counts must do, whichever it is. */
export function ratesContract(where: string, open: () => RateStore): void {
  describe(`a store of counts ${where}`, () => {
    let stores: RateStore[]
    let minute = 30_000_000
    beforeAll(() => {
      stores = [open(), open()]
    })
    afterAll(() => Promise.all(stores.map((store) => store.close())))
    const totals = async (of: number, counts: Record<string, number>, store = stores[0]) => {
      const list = Object.entries(counts).map(([key, count]) => ({ key, count }))
      const answer = (await store?.add(of, list)) ?? []
      return Object.fromEntries(answer.map(({ key, count }) => [key, count]))
    }

    test('adds up what processes count, key by key', async () => {
      minute++
      expect(await totals(minute, { a: 2, b: 1 })).toEqual({ a: 2, b: 1 })
      expect(await totals(minute, { a: 3, c: 1 }, stores[1])).toEqual({ a: 5, c: 1 })
    })

    test('begins anew with each minute', async () => {
      minute++
      await totals(minute, { a: 2 })
      expect(await totals(minute + 1, { a: 1 })).toEqual({ a: 1 })
      minute++
    })

    test('loses nothing when many settle the same keys at once, in whatever order', async () => {
      minute++
      const keys = Array.from({ length: 200 }, (_, index) => `key ${index}`)
      const counts = (order: readonly string[]) => Object.fromEntries(order.map((key) => [key, 1]))
      await Promise.all(
        [0, 1, 2, 3, 4, 5].map((turn) =>
          totals(minute, counts(turn % 2 === 0 ? keys : keys.toReversed()), stores[turn % 2]),
        ),
      )
      expect(new Set(Object.values(await totals(minute, counts(keys))))).toEqual(new Set([7]))
    })
  })
}
