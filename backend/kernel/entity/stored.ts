/** A record as Postgres printed it. */
export interface Stored {
  readonly id: string
  readonly version: number
  readonly json: string
}

/** What a change came to. */
export interface Changed extends Stored {
  readonly changed: boolean
}

/** An answer that was given before under the same key. */
export interface Replayed {
  readonly replayed: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body: string | null
  }
}

/** What a caller knows of the version: any of these, or whatever it is (null). */
export type Expected = readonly number[] | null
