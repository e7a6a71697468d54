import { z } from 'zod'
import type { Database } from '../../kernel/db/database.ts'
import { refuseUnseen } from '../../kernel/entity/field-rules.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import { apart, sight } from '../../kernel/sight.ts'
import { type Place, reach, readTree } from './hierarchy.queries.ts'

/** What is special about companies: the tree that they stand in. */
export function hierarchyRoutes({ db }: { db: Database }): Route[] {
  return [
    route({
      method: 'get',
      path: '/companies/{id}/hierarchy',
      operationId: 'companyHierarchy',
      summary: 'The companies above and below one, and what it and those below have together',
      description: `Holds what the caller may read, ${reach.levels} levels up and down and at most ${reach.companies} companies; \`truncated\` says that there are more, which are in no sum. Amounts are in the tenant's currency: open deals at today's rate, won ones at that of the day on which they closed; deals of a currency without one are counted but not summed, and told in \`unconverted\`.`,
      tag: 'companies',
      params: z.object({ id: idSchema }),
      responses: { 200: { description: 'The tree', schema: treeSchema } },
      problems: [404],
      handle: async (ctx, { params }) => {
        refuseUnseen(ctx.rights, 'company', ['parentId'])
        refuseUnseen(ctx.rights, 'contact', ['companyId'])
        refuseUnseen(ctx.rights, 'deal', ['companyId', 'status', 'value', 'currency'])
        const { above, below, truncated, sums } = await readTree(db.tenant(ctx), params.id)
        const [company] = nested(below)
        return { status: 200, body: { ancestors: above.map(named), company, sums, truncated } }
      },
    }),
  ]
}

interface Node {
  readonly id: string
  readonly name: string
  readonly children: Node[]
}

const nodeSchema: z.ZodType<Node> = z
  .object({
    id: z.uuid(),
    name: z.string(),
    get children() {
      return z.array(nodeSchema)
    },
  })
  .meta({ id: 'CompanyNode' })

// Whose role hides what companies or deals are summed by is refused.
const treeSchema = z
  .object({
    ancestors: z.array(z.object({ id: z.uuid(), name: z.string() })).describe('The topmost one first'),
    company: nodeSchema.describe('The company itself with all below it'),
    sums: z
      .object({
        companies: z.int(),
        contacts: z.int(),
        openDeals: z.int(),
        openValue: z.number(),
        wonDeals: z.int(),
        wonValue: z.number(),
        currency: z.string(),
        unconverted: z.array(
          z.object({ currency: z.string(), count: z.int(), value: z.number().describe('In that currency') }),
        ),
      })
      .describe('Of the company and all below it'),
    truncated: z.boolean(),
  })
  .register(sight, apart)

const named = ({ id, name }: Place): Pick<Node, 'id' | 'name'> => ({ id, name })

/** The nodes of the first level; places come level by level, so a parent is there before its children. */
function nested(places: readonly Place[]): Node[] {
  const nodes = new Map<string, Node>()
  const top: Node[] = []
  for (const place of places) {
    const node: Node = { ...named(place), children: [] }
    nodes.set(place.id, node)
    const parent = place.depth === 0 ? undefined : nodes.get(place.parentId ?? '')
    if (parent) parent.children.push(node)
    else if (place.depth === 0) top.push(node)
  }
  return top
}
