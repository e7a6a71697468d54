declare module 'pg/lib/utils.js' {
  /** Turns a value into what the wire protocol sends: text, a Buffer or null. */
  export function prepareValue(value: unknown): string | Buffer | null
}
