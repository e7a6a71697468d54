/** The data of a job as operators see it: of who caused it the id, and not what he is called. */
export function told(data: unknown): unknown {
  if (!isObject(data) || !isObject(data.actor)) return data
  const { name: _name, ...actor } = data.actor
  return { ...data, actor }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null
