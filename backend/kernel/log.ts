import { type DestinationStream, type Logger, pino } from 'pino'

export type { Logger } from 'pino'

/** The process's logger: one JSON line a decision; credentials are redacted wherever they stand. */
export function createLogger(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: withoutInsides },
    redact: {
      paths: ['password', '*.password', 'token', '*.token', 'authorization', '*.authorization', 'cookie', '*.cookie'],
      censor: '[redacted]',
    },
  }
  return destination ? pino(options, destination) : pino(options)
}

/** `pg` hangs the whole connection on some errors, key and all, and the values of a row into `detail`. */
function withoutInsides(error: Error): unknown {
  const {
    client: _connection,
    detail: _values,
    ...rest
  }: Record<string, unknown> = { ...pino.stdSerializers.err(error) }
  return rest
}
