import type { Cast } from '../cast.ts'
import { eventually } from '../client.ts'
import { at, type Example, type Examples, nothing } from './call.ts'

/** What was done, what is found, and what somebody is told. */
export const onNews: Examples = {
  listActivities: nothing,
  listMyActivities: nothing,
  searchActivities: async () => ({ query: 'q=alice' }),
  countActivities: async () => ({ query: 'groupBy=actor' }),
  listActivitiesOfRecord: async ({ alice }) => ({
    params: { entityType: 'deal', entityId: (await alice.build('deal')).id },
  }),

  search: async () => ({ query: 'q=engines' }),
  suggest: async () => ({ query: 'q=eng' }),
  indexRecord: async ({ alice }) => ({ body: { type: 'deal', id: (await alice.build('deal')).id } }),
  indexRecords: async ({ alice }) => ({ body: { type: 'deal', ids: [(await alice.build('deal')).id] } }),
  unindexRecord: async ({ alice }) => ({ params: { type: 'deal', id: (await alice.build('deal')).id } }),
  searchStatus: nothing,

  ...inbox(''),
  ...inbox('My'),
}

function inbox(my: string): Record<string, Example> {
  const told: Example = async (cast) => at(await notificationOf(cast))
  return {
    [`list${my}Notifications`]: nothing,
    [`delete${my}Notifications`]: async (cast) => ({ body: { ids: [await notificationOf(cast)] } }),
    [`count${my}UnreadNotifications`]: nothing,
    [`mark${my}AllNotificationsRead`]: nothing,
    [`get${my}Notification`]: told,
    [`delete${my}Notification`]: told,
    [`mark${my}NotificationRead`]: told,
    [`mark${my}NotificationUnread`]: async (cast) => {
      const call = at(await notificationOf(cast))
      await cast.alice.patch(`/notifications/${call.params?.id}/read`)
      return call
    },
    [`snooze${my}Notification`]: async (cast) => ({
      ...at(await notificationOf(cast)),
      body: { until: '2099-01-01T00:00:00.000Z' },
    }),
  }
}

/** Bob gives Alice a deal, of which she is told. */
async function notificationOf({ alice, bob }: Cast): Promise<string> {
  const deal = await bob.build('deal', { ownerId: alice.userId })
  return eventually(async () => {
    const { data } = (await alice.get('/notifications?limit=200')).body
    return data.find(({ entityId }: { entityId: string }) => entityId === deal.id)?.id
  }, 'the notification of a deal that was assigned')
}
