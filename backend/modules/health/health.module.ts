import { timingSafeEqual } from 'node:crypto'
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { z } from 'zod'
import { unauthenticated } from '../../kernel/errors.ts'
import { publicRoute } from '../../kernel/http/route.ts'
import type { Health, Module, Reading } from '../../kernel/module.ts'

/** A part of the house that is asked how it is. */
export interface Part {
  readonly name: string
  health(): Promise<Health> | Health
}

/** Health and metrics, with what the server tells of each request. */
export interface HealthModule extends Module {
  observe(request: { method: string; route: string; status: number; seconds: number }): void
  /** Shows readings in the metrics. */
  show(readings: readonly Reading[]): void
}

const healthSchema = z.object({
  status: z.enum(['up', 'degraded', 'down']),
  dependencies: z.record(
    z.string(),
    z.object({ status: z.enum(['up', 'degraded', 'down']), detail: z.record(z.string(), z.unknown()).optional() }),
  ),
})

/** `/health/live`, `/health/ready`, `/health` and `/metrics`. `ready` asks the database; `draining` makes it false. */
export function healthModule(options: {
  parts: () => readonly Part[]
  ready: () => Promise<boolean>
  metricsToken: string | undefined
}): HealthModule {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const requests = new Histogram({
    name: 'clientforge_http_request_seconds',
    help: 'Duration of HTTP requests by method, route and status',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [registry],
  })
  const tag = 'operation'
  return {
    name: 'health',
    observe: ({ method, route, status, seconds }) =>
      requests.observe({ method, route, status: String(status) }, seconds),
    show: (readings) => {
      for (const reading of readings) gaugeOf(reading, registry)
    },
    routes: [
      publicRoute({
        method: 'get',
        path: '/health/live',
        outside: true,
        operationId: 'live',
        summary: 'Whether the process runs',
        tag,
        responses: { 200: { description: 'It runs', schema: z.object({ status: z.literal('up') }) } },
        handle: async () => ({ status: 200, body: { status: 'up' } }),
      }),
      publicRoute({
        method: 'get',
        path: '/health/ready',
        outside: true,
        operationId: 'ready',
        summary: 'Whether requests can be served now',
        tag,
        responses: {
          200: { description: 'Ready', schema: z.object({ status: z.literal('up') }) },
          503: { description: 'Not now', schema: z.object({ status: z.literal('down') }) },
        },
        handle: async () =>
          (await options.ready()) ? { status: 200, body: { status: 'up' } } : { status: 503, body: { status: 'down' } },
      }),
      publicRoute({
        method: 'get',
        path: '/health',
        outside: true,
        operationId: 'health',
        summary: 'The state of each dependency',
        tag,
        responses: { 200: { description: 'The states', schema: healthSchema } },
        handle: async () => ({ status: 200, body: await healthOf(options.parts()) }),
      }),
      publicRoute({
        method: 'get',
        path: '/metrics',
        outside: true,
        operationId: 'metrics',
        summary: 'Metrics in the Prometheus text format',
        tag,
        responses: { 200: { description: 'Metrics', schema: null } },
        problems: [401],
        handle: async (caller) => {
          refuseWrongToken(options.metricsToken, caller.header('Authorization'))
          return { status: 200, body: await registry.metrics(), headers: { 'Content-Type': registry.contentType } }
        },
      }),
    ],
  }
}

async function healthOf(parts: readonly Part[]): Promise<unknown> {
  const states = await Promise.all(
    parts.map(async (part): Promise<[string, Health]> => [part.name, await stateOf(part)]),
  )
  const worst = states.some(([, state]) => state.status === 'down')
    ? 'down'
    : states.some(([, state]) => state.status === 'degraded')
      ? 'degraded'
      : 'up'
  return { status: worst, dependencies: Object.fromEntries(states) }
}

async function stateOf(part: Part): Promise<Health> {
  try {
    return await part.health()
  } catch {
    // What exactly is wrong is in the log of the part; here it is only that it is down.
    return { status: 'down' }
  }
}

function gaugeOf(reading: Reading, registry: Registry): void {
  new Gauge({
    name: reading.name,
    help: reading.help,
    labelNames: [...(reading.labels ?? [])],
    registers: [registry],
    async collect() {
      this.reset()
      for (const { value, labels = {} } of await reading.read()) this.set(labels, value)
    },
  })
}

function refuseWrongToken(token: string | undefined, header: string | undefined): void {
  if (token === undefined) return
  const given = Buffer.from(header ?? '')
  const right = Buffer.from(`Bearer ${token}`)
  if (given.length !== right.length || !timingSafeEqual(given, right))
    throw unauthenticated('Send the metrics token as Authorization: Bearer')
}
