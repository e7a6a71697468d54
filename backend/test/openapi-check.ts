import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { Answer } from './answer.ts'

interface Operation {
  readonly operationId: string
  /** Empty for a public operation. */
  readonly security?: readonly object[]
  readonly responses: Record<string, { content?: Record<string, { schema?: { $ref?: string } }> }>
}

interface Document {
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: { readonly schemas: Record<string, { example?: unknown; examples?: unknown[] }> }
}

interface Check {
  readonly document: Document
  /** Its paths, those with the fewest parameters first. */
  readonly templates: readonly { readonly template: string; readonly parts: readonly string[] }[]
  readonly ajv: Ajv2020
  /** Where every record is whole: what an answer is when nobody asked for less or more. */
  readonly whole: Ajv2020
}

const checks = new Map<string, Promise<Check>>()

/** Holds an answer against the published document: its status is documented and its body fits the schema. Throws if not. */
export async function checkAnswer(url: string, method: string, target: URL, answer: Answer): Promise<void> {
  const { pathname: path, searchParams } = target
  const { document, templates, ...checks } = await checkOf(url)
  const ajv = searchParams.has('fields') || searchParams.has('include') ? checks.ajv : checks.whole
  const template = templateOf(templates, path)
  const operation = template && document.paths[template]?.[method.toLowerCase()]
  if (!operation) return
  const described = operation.responses[String(answer.status)]
  if (!described)
    throw new Error(
      `${method} ${template} answered ${answer.status}, which the document does not know: ${JSON.stringify(answer.body)}`,
    )
  const type = answer.headers.get('content-type')?.split(';', 1)[0] ?? ''
  const media = described.content?.[type] ?? described.content?.['*/*']
  if (described.content && !media)
    throw new Error(
      `${method} ${template} answered ${answer.status} as ${type || 'nothing'}, and the document says ${Object.keys(described.content)}`,
    )
  if (!media?.schema) return
  // A schema that many answers share is compiled once.
  const { $ref, ...more } = media.schema
  const shared = Object.keys(more).length === 0 ? $ref?.slice(1) : undefined
  const pointer = [
    'paths',
    template,
    method.toLowerCase(),
    'responses',
    String(answer.status),
    'content',
    type,
    'schema',
  ]
  const place =
    shared ??
    `/${pointer.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`
  const validate = ajv.getSchema(`openapi#${place}`)
  if (!validate) throw new Error(`the schema of ${method} ${template} ${answer.status} could not be found`)
  if (!validate(answer.body)) {
    throw new Error(
      `${method} ${template} ${answer.status} does not fit the document: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(answer.body).slice(0, 2_000)}`,
    )
  }
}

/** The document of an app, for tests that walk its operations. */
export const documentOf = async (url: string): Promise<Document> => (await checkOf(url)).document

function checkOf(url: string): Promise<Check> {
  const known = checks.get(url)
  if (known) return known
  const made = load(url)
  checks.set(url, made)
  return made
}

async function load(url: string): Promise<Check> {
  const response = await fetch(`${url}/openapi.json`)
  const document: Document = JSON.parse(await response.text())
  const whole = JSON.parse(
    JSON.stringify(document, (_key, value) => (value?.anyOf?.[1]?.$ref?.endsWith('Sparse') ? value.anyOf[0] : value)),
  )
  return { document, templates: templatesOf(document), ajv: compiled(document), whole: compiled(whole) }
}

function compiled(document: object): Ajv2020 {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv)
  ajv.addSchema(document, 'openapi')
  return ajv
}

/** The path of the document that a path is of; of two the one with fewer parameters. */
function templateOf(templates: Check['templates'], path: string): string | undefined {
  const segments = path.split('/')
  const fits = ({ parts }: Check['templates'][number]) =>
    parts.length === segments.length && parts.every((part, index) => part.startsWith('{') || part === segments[index])
  return templates.find(fits)?.template
}

function templatesOf({ paths }: Document): Check['templates'] {
  const templates = Object.keys(paths).map((template) => ({ template, parts: template.split('/') }))
  const parameters = (parts: readonly string[]) => parts.filter((part) => part.startsWith('{')).length
  return templates.sort((a, b) => parameters(a.parts) - parameters(b.parts))
}
