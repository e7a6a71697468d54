import { type Logger, pino } from 'pino'

export type { Logger } from 'pino'

/** The process's logger: one JSON line a decision; credentials are redacted wherever they stand. */
export function createLogger(level: string): Logger {
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: {
      paths: ['password', '*.password', 'token', '*.token', 'authorization', '*.authorization', 'cookie', '*.cookie'],
      censor: '[redacted]',
    },
  })
}
