import { expect, test } from 'vitest'
import { createLogger } from './log.ts'

test('An error of the database is logged without its connection and without the values of the row', () => {
  const lines: string[] = []
  const log = createLogger('info', { write: (line) => void lines.push(line) })
  const error = Object.assign(new Error('duplicate key'), {
    code: '23505',
    detail: 'Key (email)=(ada@example.com) already exists.',
    client: { secretKey: 4711 },
  })
  log.warn({ err: error }, 'lost')
  expect(JSON.parse(lines[0] ?? '').err).toMatchObject({ message: 'duplicate key', code: '23505' })
  expect(lines[0]).not.toMatch(/secretKey|ada@example/)
})
