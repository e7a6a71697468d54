import { paths } from './client.ts'

/** A status, whose code goes without saying, or a status and its code. */
export type Outcome = number | `${number} ${string}`

/** What the five who are not Alice get for a call that she makes with success, about what is hers. */
export interface Expected {
  /** Who has no token. */
  readonly nobody: Outcome
  /** A viewer of her tenant. */
  readonly viewer: Outcome
  /** The owner of another tenant. */
  readonly stranger: Outcome
  /** A member of hers who may do with records what he likes, if they are his own. */
  readonly own: Outcome
  /**
   * Keys. `contact:read`: one whose scopes are about something else is told that it takes this one, and one that has all
   * but this is refused. `people`: every key is, whatever its scopes. A status: what one gets whose scopes are about
   * something else.
   */
  readonly key: `${string}:${Action}` | 'people' | number
  /** What stands in the answer to who has nothing of it, where it tells numbers. */
  readonly empty?: object
  /** It changes who calls it: he comes for this call only. */
  readonly once?: true
}

type Action = 'read' | 'create' | 'update' | 'delete'
type Key = Expected['key']

/** Expectations by `operationId`. */
export type Table = Readonly<Record<string, Expected>>

/** What those with a token get; who has none is 401. */
export function answers(viewer: Outcome, stranger: Outcome, own: Outcome, key: Key): Expected {
  return { nobody: 401, viewer, stranger, own, key }
}

/** Tells everybody of what he may read. */
export function look(key: Key): Expected {
  return answers(200, 200, 200, key)
}

/** Reads one record of Alice's. */
export function one(key: Key): Expected {
  return answers(200, 404, 404, key)
}

/** Changes one record of Alice's. */
export function change(key: Key): Expected {
  return answers(403, 404, 404, key)
}

/** Reads what the house is set up with. */
export function house(key: Key): Expected {
  return answers(200, 404, 200, key)
}

/** Sets the house up. */
export function setUp(key: Key): Expected {
  return answers(403, 404, 403, key)
}

/** A call about the caller himself. */
export function self(answer: Outcome): Expected {
  return answers(answer, answer, answer, 'people')
}

/** A call of platform operators. */
export function operators(): Expected {
  return answers(403, 403, 403, 'people')
}

/** A public call. */
export function everybody(answer: number): Expected {
  return { ...self(answer), nobody: answer, key: answer }
}

/** The calls that the engine offers for a record. */
export function records(name: string, type: string): Table {
  const plural = (paths[type] ?? '').slice(1).replace(/^./, (letter) => letter.toUpperCase())
  return {
    [`list${name}`]: look(`${type}:read`),
    [`create${name}`]: answers(403, 201, 201, `${type}:create`),
    [`get${name}`]: one(`${type}:read`),
    [`update${name}`]: change(`${type}:update`),
    [`replace${name}`]: change(`${type}:update`),
    [`delete${name}`]: change(`${type}:delete`),
    [`restore${name}`]: change(`${type}:delete`),
    [`archive${name}`]: change(`${type}:update`),
    [`unarchive${name}`]: change(`${type}:update`),
    [`bulk${name}`]: answers(403, 201, 201, `${type}:create`),
    [`upsert${name}`]: answers(403, 201, 201, `${type}:create`),
    [`list${name}Activities`]: one(`${type}:read`),
    [`list${name}Comments`]: one('comment:read'),
    [`create${name}Comment`]: change('comment:create'),
    [`search${plural}`]: look(200),
    [`listAccess${name}`]: one(`${type}:read`),
    [`listShares${name}`]: one(`${type}:read`),
    [`setShares${name}`]: change(`${type}:update`),
  }
}

/** The calls about records that may be the same. */
export function duplicates(name: string, type: string): Table {
  return {
    [`list${name}Duplicates`]: look(`${type}:read`),
    [`listDuplicatesOf${name}`]: one(`${type}:read`),
    [`check${name}Duplicates`]: look(`${type}:read`),
    // What is referred to and not found is wrong in the body.
    [`dismiss${name}Duplicates`]: answers(403, '400 VALIDATION_FAILED', '400 VALIDATION_FAILED', `${type}:update`),
    [`undismiss${name}Duplicates`]: answers(403, '400 VALIDATION_FAILED', '400 VALIDATION_FAILED', `${type}:update`),
    [`merge${name}`]: change(`${type}:update`),
    [`unmerge${name}`]: change(`${type}:update`),
  }
}

/** The calls for what sets the house up. */
export function settings(name: string, type: string): Table {
  return {
    [`list${name}`]: look(`${type}:read`),
    [`create${name}`]: answers(403, 201, 403, `${type}:create`),
    [`get${name}`]: house(`${type}:read`),
    [`update${name}`]: setUp(`${type}:update`),
    [`delete${name}`]: setUp(`${type}:delete`),
    [`list${name}Activities`]: house(`${type}:read`),
  }
}

/** The calls for keys and service accounts. */
export function machines(name: string): Table {
  return {
    [`list${name}`]: answers(403, 200, 403, 'people'),
    [`create${name}`]: answers(403, 201, 403, 'people'),
    [`rotate${name}`]: setUp('people'),
    [`delete${name}`]: setUp('people'),
  }
}

/** The calls of one's own inbox, under either path. */
export function inbox(my: string): Table {
  return {
    [`list${my}Notifications`]: self(200),
    [`count${my}UnreadNotifications`]: { ...self(200), empty: { unreadCount: 0 } },
    [`mark${my}AllNotificationsRead`]: { ...self(200), empty: { updated: 0 } },
    [`delete${my}Notifications`]: { ...self(200), empty: { deleted: 0 } },
    [`get${my}Notification`]: self(404),
    [`delete${my}Notification`]: self(404),
    [`mark${my}NotificationRead`]: self(404),
    [`mark${my}NotificationUnread`]: self(404),
    [`snooze${my}Notification`]: self(404),
  }
}
