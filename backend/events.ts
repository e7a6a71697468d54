import type { Entity } from './kernel/entity/define.ts'

/** What an activity says was done: the contract's closed list. */
export type ActivityAction = (typeof activityActions)[number]

const activityActions = [
  'created',
  'updated',
  'deleted',
  'viewed',
  'archived',
  'restored',
  'assigned',
  'unassigned',
  'completed',
  'reopened',
  'sent',
  'received',
  'uploaded',
  'downloaded',
  'shared',
  'commented',
  'mentioned',
  'logged_in',
  'logged_out',
] as const

/** What is known of an event by its name. */
export interface EventKind {
  /** The sentence of its activity; `{actor} {noun} {name} {fields}` are filled in. */
  readonly sentence: string
  /** The action of its activity; null: it is none. */
  readonly action: ActivityAction | null
  /** Seen only by who did it and by administrators. */
  readonly personal?: true
  /** Of what hangs on a record: the event's type and id are the record's, so that its timeline tells it. */
  readonly ofRecord?: true
}

/** All events of the house, and what the records that they are of are called. */
export interface Catalogue {
  /** Every declared name, `noun.verb`, with its kind. */
  readonly kinds: ReadonlyMap<string, EventKind>
  /** The nouns of events that can be activities. */
  readonly types: readonly string[]
  /** What activities say was done. */
  readonly actions: readonly ActivityAction[]
  /** Those of them that only personal activities have. */
  readonly personalActions: readonly ActivityAction[]
  /** The kind of an event; that of a name which nobody declared follows from its verb. */
  kindOf(name: string): EventKind
  /** What a record is called, from the record as the API shows it. */
  titleOf(type: string, record: Readonly<Record<string, unknown>>): string
}

/** Makes the catalogue: what every record goes through for each noun, and the verbs below. */
export function createCatalogue(entities: ReadonlyMap<string, Entity>): Catalogue {
  const everyday = [...entities.keys()].flatMap((type) =>
    Object.entries(ofEveryRecord).map(([verb, kind]): [string, EventKind] => [`${type}.${verb}`, kind]),
  )
  const kinds = new Map<string, EventKind>([...everyday, ...Object.entries(verbs)])
  const shown = [...kinds].filter(([, kind]) => kind.action !== null)
  return {
    kinds,
    actions: activityActions,
    personalActions: activityActions.filter((action) => isPersonal(shown, action)),
    types: [...new Set(shown.flatMap(([name, kind]) => (kind.ofRecord ? [] : [name.slice(0, name.indexOf('.'))])))],
    kindOf: (name) => kinds.get(name) ?? undeclared(name),
    titleOf: (type, record) => {
      const entity = entities.get(type)
      return entity ? entity.title(record) : String(record.name ?? '')
    },
  }
}

function isPersonal(kinds: readonly [string, EventKind][], action: ActivityAction): boolean {
  const meant = kinds.filter(([, kind]) => kind.action === action)
  return meant.length > 0 && meant.every(([, kind]) => kind.personal === true)
}

/** What every record can go through. The engine writes these events of itself. */
const ofEveryRecord: Readonly<Record<string, EventKind>> = {
  created: { sentence: '{actor} created the {noun} {name}', action: 'created' },
  updated: { sentence: '{actor} changed {fields} of the {noun} {name}', action: 'updated' },
  deleted: { sentence: '{actor} deleted the {noun} {name}', action: 'deleted' },
  restored: { sentence: '{actor} restored the {noun} {name}', action: 'restored' },
  archived: { sentence: '{actor} archived the {noun} {name}', action: 'archived' },
  // The contract has no word of its own for it; `metadata.verb` keeps the difference.
  unarchived: { sentence: '{actor} took the {noun} {name} out of the archive', action: 'restored' },
  merged: { sentence: '{actor} merged others into the {noun} {name}', action: 'updated' },
  merged_into: { sentence: '{actor} merged the {noun} {name} into another', action: 'deleted' },
  unmerged: { sentence: '{actor} gave back what had been merged into the {noun} {name}', action: 'updated' },
  duplicate_dismissed: {
    sentence: '{actor} said that the {noun} {name} is not the same as another',
    action: 'updated',
  },
  duplicate_undismissed: {
    sentence: '{actor} took back that the {noun} {name} is not the same as another',
    action: 'updated',
  },
  assigned: { sentence: '{actor} assigned the {noun} {name}', action: 'assigned' },
  unassigned: { sentence: '{actor} took the {noun} {name} away from who had it', action: 'unassigned' },
  shared: { sentence: '{actor} changed with whom the {noun} {name} is shared', action: 'shared' },
}

/** The verbs that only some nouns have, one line each. */
const verbs: Readonly<Record<string, EventKind>> = {
  'contact.contacted': { sentence: '{actor} was in contact with {name}', action: 'updated' },
  'lead.converted': { sentence: '{actor} converted the lead {name}', action: 'updated' },
  'deal.moved': { sentence: '{actor} moved the deal {name} to another stage', action: 'updated' },
  'deal.won': { sentence: '{actor} won the deal {name}', action: 'updated' },
  'deal.lost': { sentence: '{actor} lost the deal {name}', action: 'updated' },
  'deal.reopened': { sentence: '{actor} reopened the deal {name}', action: 'reopened' },
  'deal.line_added': { sentence: '{actor} added a line to the deal {name}', action: 'updated' },
  'deal.line_changed': { sentence: '{actor} changed a line of the deal {name}', action: 'updated' },
  'deal.line_removed': { sentence: '{actor} took a line out of the deal {name}', action: 'updated' },
  // What a score follows from is told; the score explains itself.
  'contact.scored': { sentence: '', action: null },
  'lead.scored': { sentence: '', action: null },
  'task.completed': { sentence: '{actor} completed the task {name}', action: 'completed' },
  'task.reopened': { sentence: '{actor} reopened the task {name}', action: 'reopened' },
  'comment.created': { sentence: '{actor} commented on the {noun} {name}', action: 'commented', ofRecord: true },
  'comment.updated': {
    sentence: '{actor} changed a comment on the {noun} {name}',
    action: 'commented',
    ofRecord: true,
  },
  'comment.deleted': {
    sentence: '{actor} deleted a comment on the {noun} {name}',
    action: 'commented',
    ofRecord: true,
  },
  // How somebody likes to look at a list is his own business.
  'view.created': { sentence: '{actor} saved the view {name}', action: 'created', personal: true },
  'view.updated': { sentence: '{actor} changed {fields} of the view {name}', action: 'updated', personal: true },
  'view.deleted': { sentence: '{actor} deleted the view {name}', action: 'deleted', personal: true },
  // Nobody did it: the clock did.
  'task.due': { sentence: '', action: null },
  'task.overdue': { sentence: '', action: null },
  'tag.merged': { sentence: '{actor} merged other tags into the tag {name}', action: 'updated' },
  // The rest of a long change of tags is still to be done.
  'tag.relabelling': { sentence: '', action: null },
  'import.requested': { sentence: '{actor} imported the table {name}', action: 'uploaded', personal: true },
  'import.undo_requested': { sentence: '{actor} undid the import of {name}', action: 'restored', personal: true },
  // What an import does stands on the records themselves; these tell its user how far it is.
  'import.progress': { sentence: '', action: null },
  'import.completed': { sentence: '', action: null },
  'import.failed': { sentence: '', action: null },
  'import.undone': { sentence: '', action: null },
  'export.requested': { sentence: '{actor} exported {name}', action: 'downloaded', personal: true },
  'export.completed': { sentence: '', action: null },
  'export.failed': { sentence: '', action: null },
  'user.logged_in': { sentence: '{actor} signed in', action: 'logged_in', personal: true },
  'user.logged_out': { sentence: '{actor} signed out', action: 'logged_out', personal: true },
  // What concerns an account is its owner's business and the administrators'; each of these is told him by mail.
  'user.email_verification_requested': {
    sentence: '{actor} was asked to confirm his address',
    action: 'sent',
    personal: true,
  },
  'user.email_verified': { sentence: '{actor} confirmed his address', action: 'updated', personal: true },
  'user.password_reset_requested': { sentence: 'Somebody asked for a new password', action: 'sent', personal: true },
  'user.two_factor_enabled': { sentence: '{actor} turned a second factor on', action: 'updated', personal: true },
  'user.two_factor_disabled': { sentence: '{actor} turned the second factor off', action: 'updated', personal: true },
  'user.codes_guessed': {
    sentence: 'Somebody with the password sent too many wrong codes of a second factor',
    action: 'updated',
    personal: true,
  },
  'user.recovery_codes_renewed': { sentence: '{actor} got new recovery codes', action: 'updated', personal: true },
  'user.recovery_code_used': { sentence: '{actor} signed in with a recovery code', action: 'updated', personal: true },
  'user.passkey_added': { sentence: '{actor} added a passkey', action: 'updated', personal: true },
  'user.passkey_removed': { sentence: '{actor} removed a passkey', action: 'updated', personal: true },
  'user.credentials_voided': {
    sentence: '{actor} proved an address: what had been set for its account before is void',
    action: 'updated',
    personal: true,
  },
  'user.password_changed': { sentence: '{actor} changed his password', action: 'updated', personal: true },
  'session.ended': { sentence: '{actor} ended a session', action: 'deleted', personal: true },
  'user.identity_linked': {
    sentence: '{actor} linked the sign-in of a provider to a user',
    action: 'updated',
    personal: true,
  },
  'user.identity_refused': {
    sentence: 'The provider of a sign-in gives a user no role any more',
    action: 'updated',
    personal: true,
  },
  'api_key.created': { sentence: '{actor} made the API key {name}', action: 'created', personal: true },
  'api_key.rotated': { sentence: '{actor} gave the API key {name} another secret', action: 'updated', personal: true },
  'api_key.revoked': { sentence: '{actor} revoked the API key {name}', action: 'deleted', personal: true },
  'service_account.created': { sentence: '{actor} made the service account {name}', action: 'created', personal: true },
  'service_account.rotated': {
    sentence: '{actor} gave the service account {name} another secret',
    action: 'updated',
    personal: true,
  },
  'service_account.revoked': {
    sentence: '{actor} revoked the service account {name}',
    action: 'deleted',
    personal: true,
  },
  'user.hand_over_requested': {
    sentence: '{actor} deactivated {name} and gave what was his to another',
    action: 'unassigned',
  },
  // Each record tells that it has another owner.
  'user.handed_over': { sentence: '', action: null },
  'user.hand_over_failed': { sentence: 'Not all that {name} had could be handed over', action: 'updated' },
  'invitation.created': { sentence: '{actor} invited {name}', action: 'created', personal: true },
  'invitation.resent': { sentence: '{actor} invited {name} again', action: 'sent', personal: true },
  'invitation.revoked': { sentence: '{actor} took the invitation of {name} back', action: 'deleted', personal: true },
  'invitation.accepted': { sentence: '{actor} accepted the invitation', action: 'updated', personal: true },
  'tenant.created': { sentence: '{actor} made the tenant {name}', action: 'created' },
  'tenant.updated': { sentence: '{actor} changed {fields} of the tenant {name}', action: 'updated' },
  'tenant.governed': { sentence: '{actor} changed {fields} of the tenant {name}', action: 'updated' },
  'tenant.suspended': { sentence: '{actor} suspended the tenant {name}', action: 'updated' },
  'tenant.resumed': { sentence: '{actor} resumed the tenant {name}', action: 'restored' },
  'tenant.impersonated': {
    sentence: '{actor} began to act in the name of a user of the tenant {name}',
    action: 'logged_in',
  },
  // Who is online is told to sockets, and is no history.
  'presence.changed': { sentence: '', action: null },
  // The inbox tells about changes; it is none.
  'notification.created': { sentence: '', action: null },
  'notification.updated': { sentence: '', action: null },
  'notification.deleted': { sentence: '', action: null },
}

/** Nothing that happened goes untold because a line above is missing: the audit trail is complete first, well-worded second. */
function undeclared(name: string): EventKind {
  const [noun = '', verb = ''] = name.split('.')
  if (noun === 'notification' || verb === 'viewed') return { sentence: '', action: null }
  const known = ofEveryRecord[verb]
  if (known) return known
  const action = activityActions.find((each) => each === verb) ?? 'updated'
  return { sentence: `{noun} {name}: ${verb.replaceAll('_', ' ')} by {actor}`, action }
}
