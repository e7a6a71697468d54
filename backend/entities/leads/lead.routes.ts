import { z } from 'zod'
import type { Database } from '../../kernel/db/database.ts'
import { seenMembers } from '../../kernel/entity/field-rules.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { verbRoute } from '../../kernel/entity/verb-route.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import { company } from '../companies/company.entity.ts'
import { contact } from '../contacts/contact.entity.ts'
import { deal } from '../deals/deal.entity.ts'
import { convert, type House } from './lead.actions.ts'
import { lead } from './lead.entity.ts'
import { candidateSchema, findCandidates } from './lead.queries.ts'

/** What is special about leads: they are converted. */
export function leadRoutes(house: House & { db: Database; records: Repository }): Route[] {
  const { db, records: leads } = house
  return [
    verbRoute(
      db,
      lead,
      {
        name: 'convert',
        summary: 'Make a contact, a company and a deal of a lead, or use those that are named',
        description: conversionRules,
        body: conversionSchema,
      },
      (tx, id, body, expected) => db.transaction(tx.ctx, (inner) => convert(inner, house, id, body ?? {}, expected)),
    ),
    route({
      method: 'get',
      path: '/leads/{id}/convert',
      operationId: 'previewLeadConversion',
      summary: 'The contacts and companies that a lead may already be; nothing is written',
      tag: 'leads',
      params: z.object({ id: idSchema }),
      responses: { 200: { description: 'The candidates', schema: z.object({ candidates: z.array(candidateSchema) }) } },
      handle: async (ctx, { params }) => {
        const tx = db.tenant(ctx)
        const lead = JSON.parse((await leads.get(tx, params.id)).json)
        // Whom one finds by what one does not see tells it.
        const known = seenMembers(leads.entity, ctx.rights.fields?.('lead'), lead)
        return { status: 200, body: { candidates: await findCandidates(tx, house.alike, known) } }
      },
    }),
  ]
}

const conversionRules = `\`contactId\` and \`companyId\` use a record that is there, \`contact\`, \`company\` and \`deal\` say more of one that is
made. Without \`contactId\` and \`duplicates: "ignore"\`, contacts with the lead's address or number answer \`409 DUPLICATE\` with
\`candidates\`. The only company of the lead's company name is used, unless \`company\` or \`duplicates\` is given. A deal is made
when \`deal\` or \`createDeal\` says so. Owner, address, source, tags and custom fields of the same key and type are taken over;
notes, tasks and interactions of the lead also name the contact, and comments go over to it. Who does not see all that is taken
over is refused.`

const conversionSchema = z
  .strictObject({
    contactId: idSchema.optional(),
    companyId: idSchema.optional(),
    contact: contact.partSchema.optional(),
    company: company.partSchema.optional(),
    createDeal: z.boolean().optional(),
    deal: deal.partSchema.optional(),
    duplicates: z.literal('ignore').optional(),
  })
  .optional()
