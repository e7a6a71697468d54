/**
 * The types of the CRM records: each can be searched, tagged, commented on, imported, exported, saved as a view, have
 * custom fields, and be what a task, a note or an interaction is about. A new one is told here.
 */
export const recordTypes = ['contact', 'company', 'lead', 'deal', 'task', 'note', 'interaction', 'product'] as const
