import { type ZodType, z } from 'zod'
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiParameters } from 'zod-openapi'
import { phraseOf } from './problem.ts'
import type { Route } from './route.ts'

/** The OpenAPI 3.1 document of routes, from the same schemas that validate their requests. */
export function openApiDocument(
  routes: readonly Route[],
  info: { title: string; version: string; description: string },
): object {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {}
  for (const route of routes) {
    const path = route.outside ? route.path : `/api/v1${route.path}`
    paths[path] = { ...paths[path], [route.method]: operationOf(route) }
  }
  return createDocument({
    openapi: '3.1.1',
    info,
    servers: [{ url: '/' }],
    security: [{ bearer: [] }],
    tags: [...new Set(routes.map((route) => route.tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        operator: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'The access token of a platform operator, which `/auth/login` gives for his email and password',
        },
      },
      schemas: { Problem: problemSchema },
    },
  })
}

/** An error answer (RFC 9457). */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string(),
    detail: z.string(),
    instance: z.string(),
    requestId: z.string(),
    errors: z.array(z.object({ path: z.string(), message: z.string(), code: z.string() })).optional(),
    index: z.int().optional(),
    limit: z.string().optional().meta({ description: 'What the plan limits, with `used` and `allowed`' }),
    used: z.int().optional(),
    allowed: z.int().optional(),
    candidates: z
      .array(z.object({ type: z.string(), id: z.uuid(), name: z.string(), email: z.string().nullable().optional() }))
      .optional(),
  })
  .meta({ id: 'Problem' })

function operationOf(route: Route): ZodOpenApiOperationObject {
  const responses: ZodOpenApiOperationObject['responses'] = {}
  for (const [status, { description, schema, type, headers }] of Object.entries(route.responses)) {
    responses[`${Number(status)}` as '200'] = {
      description,
      ...(schema ? { content: { 'application/json': { schema } } } : {}),
      ...(type ? { content: { [type]: {} } } : {}),
      ...(headers
        ? { headers: Object.fromEntries(headers.map((name) => [name, { schema: { type: 'string' as const } }])) }
        : {}),
    }
  }
  for (const status of problemsOf(route)) {
    responses[`${status}` as '400'] = {
      description: phraseOf(status),
      content: { 'application/problem+json': { schema: problemSchema } },
    }
  }
  const requestParams: ZodOpenApiParameters = {
    ...(paramNames(route).length > 0
      ? { path: z.object(Object.fromEntries(paramNames(route).map((name) => [name, z.string()]))) }
      : {}),
    ...(route.query instanceof z.ZodObject ? { query: route.query } : {}),
  }
  return {
    operationId: route.operationId,
    summary: route.summary,
    tags: [route.tag],
    ...(route.description ? { description: route.description } : {}),
    ...securityOf(route),
    requestParams,
    parameters: documentParameters(route),
    ...(route.body
      ? {
          requestBody: {
            required: !route.body.safeParse(undefined).success,
            content: { 'application/json': { schema: route.body } },
          },
        }
      : {}),
    ...(route.urlencoded
      ? {
          requestBody: {
            required: true,
            content: { 'application/x-www-form-urlencoded': { schema: route.urlencoded } },
          },
        }
      : {}),
    ...(route.form
      ? { requestBody: { required: true, content: { 'multipart/form-data': { schema: formSchema(route.form) } } } }
      : {}),
    responses,
  }
}

function formSchema({ file, fields }: NonNullable<Route['form']>): ZodType {
  if (!(fields instanceof z.ZodObject)) throw new Error('the fields of a form are an object')
  return z.object({ [file]: z.string().meta({ format: 'binary' }), ...fields.shape })
}

/** Who may call it; the document's own word is: users of tenants. */
function securityOf(route: Route): Pick<ZodOpenApiOperationObject, 'security'> {
  if (route.access === 'public') return { security: [] }
  if (route.access === 'operator') return { security: [{ operator: [] }] }
  return route.handleOperator ? { security: [{ bearer: [] }, { operator: [] }] } : {}
}

const isKeyed = (route: Route): boolean =>
  route.method === 'post' && route.access !== 'public' && route.idempotency !== 'none'

const paramNames = (route: Route): string[] => [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '')

function documentParameters(route: Route): NonNullable<ZodOpenApiOperationObject['parameters']> {
  const query = Object.entries(route.queryDocument ?? {}).map(([name, { description, schema, deepObject }]) => ({
    name,
    in: 'query' as const,
    description,
    required: false,
    schema,
    ...(deepObject ? { style: 'deepObject' as const, explode: true } : {}),
  }))
  const keyed = isKeyed(route)
  const key = {
    name: 'Idempotency-Key',
    in: 'header' as const,
    description: 'The same key and body within 24 hours answers with the first answer',
    required: false,
    schema: { type: 'string' as const, minLength: 1, maxLength: 255 },
  }
  const conditional = (name: string, description: string) => ({
    name,
    in: 'header' as const,
    description,
    required: false,
    schema: { type: 'string' as const, examples: ['"3"'] },
  })
  return [
    ...query,
    ...(keyed ? [key] : []),
    ...(route.problems?.includes(412)
      ? [conditional('If-Match', 'Only if the version is one of these, else 412')]
      : []),
    ...(304 in route.responses ? [conditional('If-None-Match', '304 if the version is one of these')] : []),
  ]
}

function problemsOf(route: Route): number[] {
  const usual = [
    400,
    ...(route.access === 'public' ? [] : [401, 403]),
    ...(route.path.includes('{') ? [404] : []),
    ...(route.body || route.form || route.method === 'post' ? [413, 415] : []),
  ]
  const keyed = isKeyed(route) ? [409, 422] : []
  const limited = route.access === 'public' && route.outside ? [] : [429]
  const all = [...new Set([...usual, ...keyed, ...limited, ...(route.problems ?? []), 405, 503])]
  return all.filter((status) => !(status in route.responses)).sort((a, b) => a - b)
}
