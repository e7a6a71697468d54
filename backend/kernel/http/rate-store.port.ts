/** Calls under a key. */
export interface Counted {
  readonly key: string
  readonly count: number
}

/** Where processes tell each other how many calls they have counted. It may be gone for a while: nobody waits for it. */
export interface RateStore {
  /** Adds counts of a minute; gives what all processes have counted under these keys. */
  add(minute: number, counts: readonly Counted[]): Promise<readonly Counted[]>
  close(): Promise<void>
}
