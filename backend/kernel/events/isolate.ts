import type { DomainEvent } from './event.ts'
import { PermanentError } from './subscription.ts'

/** An event that a subscription cannot digest, with what it threw. */
export interface Bad {
  readonly event: DomainEvent
  readonly error: unknown
}

const fullSearchEvery = 10

/**
 * Finds the events that make a batch fail while others of it pass. None found means an outage: everything fails (or a
 * first failure, which may be a blip), and the cursor must stay. A {@link PermanentError} is bad whatever the others do.
 *
 * While everything fails, three samples tell so cheaply; every tenth attempt looks at all of them.
 */
export async function findBad(
  batch: readonly DomainEvent[],
  failure: unknown,
  probe: (events: readonly DomainEvent[]) => Promise<void>,
  earlierAttempts: number,
): Promise<Bad[]> {
  const permanent = failure instanceof PermanentError
  if (batch.length === 0 || (earlierAttempts === 0 && !permanent)) return []
  const [only] = batch
  if (batch.length === 1 && only) return permanent ? [{ event: only, error: failure }] : []
  if (!permanent && earlierAttempts % fullSearchEvery !== 0 && (await allFail(samples(batch), probe))) return []
  const bad = await split(batch, probe)
  const witness = batch.find((event) => !bad.some((item) => item.event === event))
  return witness ? confirmed(bad, witness, probe) : bad.filter(isPermanent)
}

const isPermanent = (item: Bad): boolean => item.error instanceof PermanentError

const samples = (batch: readonly DomainEvent[]): DomainEvent[] =>
  [batch[0], batch[batch.length >> 1], batch.at(-1)].filter((event) => event !== undefined)

async function allFail(
  events: readonly DomainEvent[],
  probe: (events: readonly DomainEvent[]) => Promise<void>,
): Promise<boolean> {
  for (const event of events) if ((await failureOf([event], probe)) === null) return false
  return true
}

async function split(
  events: readonly DomainEvent[],
  probe: (events: readonly DomainEvent[]) => Promise<void>,
): Promise<Bad[]> {
  const failure = await failureOf(events, probe)
  if (failure === null) return []
  const [only] = events
  if (events.length === 1 && only) return [{ event: only, error: failure.error }]
  const middle = events.length >> 1
  return [...(await split(events.slice(0, middle), probe)), ...(await split(events.slice(middle), probe))]
}

/**
 * An outage that begins or ends during the search makes good events fail: each must fail once more, between two moments
 * at which an event that is known to be good passes.
 */
async function confirmed(
  bad: readonly Bad[],
  witness: DomainEvent,
  probe: (events: readonly DomainEvent[]) => Promise<void>,
): Promise<Bad[]> {
  const sure: Bad[] = []
  for (const item of bad) {
    if (isPermanent(item)) {
      sure.push(item)
      continue
    }
    const failure = await failureOf([item.event], probe)
    if (await failureOf([witness], probe)) return bad.filter(isPermanent)
    if (failure) sure.push({ event: item.event, error: failure.error })
  }
  return sure
}

async function failureOf(
  events: readonly DomainEvent[],
  probe: (events: readonly DomainEvent[]) => Promise<void>,
): Promise<{ error: unknown } | null> {
  try {
    await probe(events)
    return null
  } catch (error) {
    return { error }
  }
}
