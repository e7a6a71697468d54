import type { Cast } from '../cast.ts'
import { paths } from '../client.ts'
import { at, built, type Example, type Examples, nothing, unique } from './call.ts'

/** Records, what is done with them, and what hangs on them. */
export const onRecords: Examples = {
  ...records('Contact', 'contact', { firstName: 'Augusta' }),
  ...records('Company', 'company', { name: 'Difference Engines' }),
  ...records('Deal', 'deal', { name: 'Ten engines' }),
  ...records('Task', 'task', { title: 'Call again' }),
  ...records('Note', 'note', { body: 'They decide in spring.' }),
  ...records('Lead', 'lead', { lastName: 'Byron' }),
  ...records('Interaction', 'interaction', { type: 'meeting' }),
  ...records('Product', 'product', { name: 'GTX Basic' }),
  convertLead: built('lead'),
  previewLeadConversion: built('lead'),
  moveDeal: async ({ alice }) => {
    const { id, pipelineId, stageId } = await alice.build('deal')
    const { stages } = (await alice.get(`/pipelines/${pipelineId}`)).body
    return {
      ...at(id),
      body: { stageId: stages.find((stage: { id: string }) => stage.id !== stageId).id, position: 1 },
    }
  },
  listLineItems: built('deal'),
  addLineItem: built('deal', () => ({ name: 'Engine', unitPrice: 1000 })),
  getLineItem: line(),
  changeLineItem: line({ quantity: 2 }),
  removeLineItem: line(),
  winDeal: built('deal'),
  loseDeal: built('deal', () => ({ reason: 'Too dear' })),
  reopenDeal: async ({ alice }) => {
    const { id } = await alice.build('deal')
    await alice.post(`/deals/${id}/win`)
    return at(id)
  },
  listDealStages: built('deal'),
  dealBoard: nothing,
  dealForecast: nothing,
  companyHierarchy: built('company'),
  completeTask: built('task'),
  changeTaskStep: async ({ alice }) => {
    const { id } = await alice.build('task', { checklist: [{ id: 'call', text: 'Call' }] })
    return { params: { id, stepId: 'call' }, body: { done: true } }
  },
  reopenTask: async ({ alice }) => at((await alice.build('task', { status: 'completed' })).id),
  assignTask: built('task', ({ bob }) => ({ userIds: [bob.userId] })),

  ...duplicates('Contact', 'contact', { email: 'ada@example.com' }),
  ...duplicates('Lead', 'lead', { lastName: 'Lovelace' }),
  ...duplicates('Company', 'company', { name: 'Analytical Engines' }),
  explainContactScore: built('contact'),
  explainLeadScore: built('lead'),
  getComment: commented(),
  updateComment: commented({ body: 'On second thought' }),
  deleteComment: commented(),
  listCommentHistory: commented(),
}

/** The calls that the engine offers for a record. */
function records(name: string, type: string, values: Record<string, unknown>): Record<string, Example> {
  const plural = (paths[type] ?? '').slice(1).replace(/^./, (letter) => letter.toUpperCase())
  const deleted: Example = async ({ alice }) => {
    const { id } = await alice.build(type)
    await alice.delete(`${paths[type]}/${id}`)
    return at(id)
  }
  const archived: Example = async ({ alice }) => {
    const { id } = await alice.build(type)
    await alice.post(`${paths[type]}/${id}/archive`)
    return at(id)
  }
  return {
    [`list${name}`]: nothing,
    [`create${name}`]: async () => ({ body: values }),
    [`get${name}`]: built(type),
    [`update${name}`]: built(type, () => values),
    [`replace${name}`]: built(type, () => values),
    [`delete${name}`]: built(type),
    [`restore${name}`]: deleted,
    [`archive${name}`]: built(type),
    [`unarchive${name}`]: archived,
    [`bulk${name}`]: async () => ({ body: { operations: [{ op: 'create', data: values }] } }),
    [`upsert${name}`]: async () => ({ params: { externalId: unique('key') }, body: values }),
    [`list${name}Activities`]: built(type),
    [`list${name}Comments`]: built(type),
    [`create${name}Comment`]: built(type, ({ bob }) => ({ body: `Look, @[Bob](${bob.userId})` })),
    [`search${plural}`]: async () => ({ query: 'q=ada' }),
    [`listAccess${name}`]: built(type),
    [`listShares${name}`]: built(type),
    [`setShares${name}`]: built(type, ({ bob }) => ({ shares: [{ userId: bob.userId, access: 'read' }] })),
  }
}

/** The calls about records that may be the same. */
function duplicates(name: string, type: string, values: Record<string, unknown>): Record<string, Example> {
  const two = async ({ alice }: Cast) => [(await alice.build(type, values)).id, (await alice.build(type, values)).id]
  return {
    [`list${name}Duplicates`]: nothing,
    [`listDuplicatesOf${name}`]: built(type),
    [`check${name}Duplicates`]: async () => ({ body: values }),
    [`dismiss${name}Duplicates`]: async (cast) => ({ body: { ids: await two(cast) } }),
    [`undismiss${name}Duplicates`]: async (cast) => {
      const body = { ids: await two(cast) }
      await cast.alice.post(`${paths[type]}/duplicates/dismiss`, body)
      return { body }
    },
    [`merge${name}`]: async (cast) => {
      const [id = '', fromId] = await two(cast)
      return { ...at(id), body: { fromIds: [fromId] } }
    },
    [`unmerge${name}`]: async (cast) => {
      const [id = '', fromId] = await two(cast)
      await cast.alice.post(`${paths[type]}/${id}/merge`, { fromIds: [fromId] })
      return at(id)
    },
  }
}

function line(body?: unknown): Example {
  return async ({ alice }) => {
    const { id } = await alice.build('deal')
    const made = await alice.post(`/deals/${id}/line-items`, { name: 'Engine', unitPrice: 1000 })
    return { params: { id, lineId: made.body.id }, ...(body ? { body } : {}) }
  }
}

function commented(body?: unknown): Example {
  return async ({ alice }) => {
    const deal = await alice.build('deal')
    const { id } = (await alice.post(`/deals/${deal.id}/comments`, { body: 'Well' })).body
    return { ...at(id), ...(body ? { body } : {}) }
  }
}
