/** An answer as a client sees it. */
export interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects; the schema was checked against the document
  readonly body: any
  readonly headers: Headers
}
