/** Types of which every event may change who may do what in its tenant: what is remembered of it is asked anew. */
export const rightsChangers: ReadonlySet<string> = new Set([
  'user',
  'team',
  'role',
  'session',
  'tenant',
  'api_key',
  'service_account',
])
