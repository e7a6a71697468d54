import type { Database } from '../kernel/db/database.ts'
import type { CustomFields } from '../kernel/entity/custom.ts'
import type { Entity } from '../kernel/entity/define.ts'
import { createLister, type Lister, type QuickFind } from '../kernel/entity/lister.ts'
import { createRegistry, type Registry } from '../kernel/entity/registry.ts'
import { createRepository, type Repository } from '../kernel/entity/repository.ts'
import { entityRoutes, everything, type Offer } from '../kernel/entity/router.ts'
import type { Subscription } from '../kernel/events/subscription.ts'
import type { Route } from '../kernel/http/route.ts'
import { commentRoutes } from './comments/comment.routes.ts'
import { company } from './companies/company.entity.ts'
import { hierarchyRoutes } from './companies/hierarchy.routes.ts'
import { contact } from './contacts/contact.entity.ts'
import { customField } from './custom-fields/custom-field.entity.ts'
import { customFieldRoutes } from './custom-fields/custom-field.routes.ts'
import { deal } from './deals/deal.entity.ts'
import { dealRoutes } from './deals/deal.routes.ts'
import { exchangeRate } from './exchange-rates/exchange-rate.entity.ts'
import { interaction } from './interactions/interaction.entity.ts'
import { knowingLastContact, movingLastContact } from './interactions/last-contact.ts'
import { lead } from './leads/lead.entity.ts'
import type { Alike } from './leads/lead.queries.ts'
import { leadRoutes } from './leads/lead.routes.ts'
import { lookup } from './lookups/lookup.entity.ts'
import { lookupRoutes } from './lookups/lookup.routes.ts'
import { note } from './notes/note.entity.ts'
import { pipeline } from './pipelines/pipeline.entity.ts'
import { pipelineRoutes } from './pipelines/pipeline.routes.ts'
import { product } from './products/product.entity.ts'
import { recordTypes } from './records.ts'
import { fittingRoles } from './roles/role.actions.ts'
import { role } from './roles/role.entity.ts'
import { scoredByRules } from './scoring-rules/scored.ts'
import { fittingRules } from './scoring-rules/scoring-rule.actions.ts'
import { scoringRule } from './scoring-rules/scoring-rule.entity.ts'
import { taggedNouns } from './tags/relabel.ts'
import { relabellingSubscription } from './tags/relabelling.ts'
import { tag } from './tags/tag.entity.ts'
import { tagRoutes } from './tags/tag.routes.ts'
import { target } from './targets/target.entity.ts'
import { task } from './tasks/task.entity.ts'
import { taskRoutes } from './tasks/task.routes.ts'
import { team } from './teams/team.entity.ts'
import { user } from './users/user.entity.ts'
import { userRoutes } from './users/user.routes.ts'
import { savedQueries } from './views/view.actions.ts'
import { view } from './views/view.entity.ts'
import { viewRoutes } from './views/view.routes.ts'

interface Noun {
  readonly entity: Entity
  readonly offers: readonly Offer[]
  readonly routes?: (house: House) => Route[]
  /** Wraps the repository in what its writes entail for records of other nouns, in the same transaction. */
  readonly entailing?: (
    db: Database,
    repository: Repository,
    others: (type: string) => Repository,
    registry: Registry,
  ) => Repository
}

/** What the verbs of a noun are made with. */
interface House {
  readonly db: Database
  /** The noun's own. */
  readonly records: Repository
  readonly registry: Registry
  repository(type: string): Repository
  readonly customFields: CustomFields
  readonly alike: Alike
}

const setUp: readonly Offer[] = ['list', 'get', 'create', 'update', 'delete']

/** One line a noun. */
const nouns: readonly Noun[] = [
  {
    entity: contact,
    offers: everything,
    entailing: (db, contacts) => scoredByRules(knowingLastContact(db, contacts), 'contact'),
  },
  { entity: company, offers: everything, routes: hierarchyRoutes },
  { entity: lead, offers: everything, routes: leadRoutes, entailing: (_db, leads) => scoredByRules(leads, 'lead') },
  { entity: deal, offers: everything, routes: dealRoutes },
  { entity: task, offers: everything, routes: taskRoutes },
  { entity: note, offers: everything },
  { entity: interaction, offers: everything, entailing: movingLastContact },
  { entity: product, offers: everything },
  { entity: pipeline, offers: ['list', 'get'], routes: pipelineRoutes },
  { entity: tag, offers: ['list', 'get', 'create'], routes: tagRoutes },
  { entity: customField, offers: ['list', 'get', 'create', 'delete', 'restore'], routes: customFieldRoutes },
  { entity: lookup, offers: [], routes: lookupRoutes },
  { entity: view, offers: [], routes: viewRoutes },
  { entity: team, offers: setUp },
  { entity: role, offers: setUp, entailing: (db, roles, _others, registry) => fittingRoles(db, roles, registry) },
  { entity: exchangeRate, offers: setUp },
  { entity: target, offers: setUp },
  { entity: scoringRule, offers: setUp, entailing: fittingRules },
  { entity: user, offers: ['list', 'get'], routes: userRoutes },
]

/** What the contract calls a CRM record. */
const isRecord = ({ entity }: Noun): boolean => recordTypes.some((type) => type === entity.type)

/** All nouns, wired to the engine. */
export interface Entities {
  readonly registry: Registry
  /** The nouns whose deleted records can be restored. */
  readonly restorable: readonly Entity[]
  repository(type: string): Repository
  readonly subscriptions: readonly Subscription[]
  /** What may come by a table and go out as one: records, and the members of the tenant. */
  readonly tabular: ReadonlySet<string>
  /** The list of a noun, as its route gives it. */
  list(type: string, find: QuickFind): Lister
  /** The routes need the quick find and the search for duplicates, which modules give. */
  routes(find: QuickFind, alike: Alike): Route[]
}

/** A stage goes with its pipeline. */
const stageIsLive =
  'exists (select 1 from pipelines p where p.tenant_id = x.tenant_id and p.id = x.pipeline_id and p.deleted_at is null)'

/** Builds the repositories and routes of all nouns. */
export function createEntities(db: Database, customFields: CustomFields): Entities {
  const registry = createRegistry(
    nouns.map((noun) => noun.entity),
    {
      user: { table: 'users', live: 'x.deleted_at is null and x.active' },
      stage: { table: 'stages', live: stageIsLive },
    },
  )
  const repositories = new Map(
    nouns.map(({ entity, entailing }) => {
      const plain = createRepository(entity, registry, customFields)
      return [entity.type, entailing?.(db, plain, (type) => repository(type), registry) ?? plain]
    }),
  )
  const repository = (type: string): Repository => {
    const known = repositories.get(type)
    if (!known) throw new Error(`there is no noun ${type}`)
    return known
  }
  const lists = new Map<string, Lister>()
  const list = (type: string, find: QuickFind): Lister => {
    const { entity } = repository(type)
    const known = lists.get(type)
    const made =
      known ?? createLister(entity, registry, customFields, find, entity.searchable ? savedQueries : undefined)
    lists.set(type, made)
    return made
  }
  return {
    registry,
    restorable: nouns.filter(({ offers }) => offers.includes('restore')).map(({ entity }) => entity),
    repository,
    subscriptions: [relabellingSubscription(db, taggedNouns(registry.entities, repository))],
    tabular: new Set([...nouns.filter(isRecord).map(({ entity }) => entity.type), user.type]),
    list,
    routes: (find, alike) => [
      ...nouns.flatMap(({ entity, offers, routes }) => [
        ...entityRoutes(
          {
            db,
            registry,
            repository: repository(entity.type),
            list: list(entity.type, find),
          },
          offers,
        ),
        ...(routes?.({ db, records: repository(entity.type), registry, repository, customFields, alike }) ?? []),
      ]),
      ...commentRoutes(
        db,
        nouns.filter(isRecord).map(({ entity }) => repository(entity.type)),
      ),
    ],
  }
}
