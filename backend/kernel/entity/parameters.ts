import type { Entity } from './define.ts'
import type { Field } from './fields.ts'
import { sortsOf } from './list-query.ts'

type Parameters = Record<string, { description: string; schema: object; deepObject?: true }>

/** The parameters of a list, for the document: what it offers to filter, sort, include. */
export function listParameters(entity: Entity): Parameters {
  const entries = Object.entries(entity.all)
  return {
    limit: { description: 'Records a page', schema: { type: 'integer', minimum: 1, maximum: 200, default: 50 } },
    cursor: { description: 'Opaque, from the page before', schema: { type: 'string' } },
    sort: {
      description: `Comma-separated, - for descending: ${sortsOf(entity).join(', ')}`,
      schema: { type: 'string', examples: ['-createdAt'] },
    },
    count: { description: 'Adds `total`, exact to 10,000', schema: { type: 'string', enum: ['exact'] } },
    ...(entity.searchable
      ? {
          q: {
            description: 'Quick find: prefix and typo-tolerant',
            schema: { type: 'string', minLength: 1, maxLength: 200 },
          },
          view: {
            description: 'Filters and sort of a saved view; what the query says itself goes before',
            schema: { type: 'string', format: 'uuid' },
          },
        }
      : {}),
    ...recordParameters(entity),
    ...Object.fromEntries(
      entries
        .filter(([, field]) => (field.filter?.length ?? 0) > 0)
        .map(([name, field]) => [name, filterParameter(name, field)]),
    ),
  }
}

/** The parameters of one record. */
export function recordParameters(entity: Entity): Parameters {
  const includes = Object.values(entity.all).flatMap((field) => (field.include ? [field.include] : []))
  return {
    fields: { description: 'Only these members, comma-separated', schema: { type: 'string' } },
    ...(includes.length > 0
      ? {
          include: {
            description: `Related records, comma-separated: ${includes.join(', ')}`,
            schema: { type: 'string' },
          },
        }
      : {}),
  }
}

function filterParameter(name: string, field: Field): Parameters[string] {
  const operators = field.filter ?? []
  return {
    description: `Filter: \`${name}=value\`${operators
      .filter((operator) => operator !== 'eq')
      .map((operator) => `, \`${name}[${operator}]=\``)
      .join('')}`,
    schema: { type: 'string' },
  }
}
