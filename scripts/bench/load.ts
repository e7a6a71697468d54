import { connect, type Socket } from 'node:net'

/** One request, and the status that its answer must have. */
export interface Shot {
  readonly method: string
  readonly path: string
  readonly body?: unknown
  readonly expect: number
}

/** Whom the load is sent to, and as whom. */
export interface Target {
  readonly port: number
  readonly token: string
}

/** What a load came to. Latencies are in milliseconds. */
export interface LoadResult {
  readonly requests: number
  readonly seconds: number
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  /** Answers with another status than the expected one, by status. */
  readonly unexpected: Readonly<Record<string, number>>
}

/**
 * Sends requests over kept-alive connections for a time: as fast as answers come, or at a rate. Each connection waits for
 * its answer before it sends again. HTTP is written and read by hand, because the client shares the cores with what it
 * measures: that of `node:http` takes as much time for a request as the server.
 */
export async function load(
  target: Target,
  next: () => Shot,
  options: { connections: number; seconds: number; rate?: number; answered?: (body: Buffer) => void },
): Promise<LoadResult> {
  const { seconds, rate, answered } = options
  const connections = await Promise.all(Array.from({ length: options.connections }, () => openConnection(target.port)))
  const latencies: number[] = []
  const unexpected: Record<string, number> = {}
  const started = performance.now()
  const until = started + seconds * 1_000
  let sent = 0
  const shoot = async (connection: Connection): Promise<void> => {
    for (;;) {
      // At a rate each request has its time, also when an earlier one was late: else slowness would thin the load out.
      const due = rate === undefined ? performance.now() : started + (sent++ * 1_000) / rate
      if (due >= until) return
      const ahead = due - performance.now()
      if (ahead > 1) await new Promise((resolve) => setTimeout(resolve, ahead))
      const shot = next()
      const { status, body } = await connection.send(printed(shot, target.token))
      latencies.push(performance.now() - due)
      if (status !== shot.expect) unexpected[status] = (unexpected[status] ?? 0) + 1
      else answered?.(body)
    }
  }
  await Promise.all(connections.map(shoot))
  const took = (performance.now() - started) / 1_000
  for (const connection of connections) connection.close()
  latencies.sort((a, b) => a - b)
  return {
    requests: latencies.length,
    seconds: took,
    perSecond: latencies.length / took,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    unexpected,
  }
}

/** A quantile of numbers that are sorted. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** Sends one request and reads its JSON. */
export async function call<T = unknown>(target: Target, shot: Shot): Promise<T> {
  const connection = await openConnection(target.port)
  try {
    const { status, body } = await connection.send(printed(shot, target.token))
    if (status !== shot.expect) throw new Error(`${shot.method} ${shot.path} answered ${status}: ${body.toString()}`)
    return JSON.parse(body.toString())
  } finally {
    connection.close()
  }
}

interface Answer {
  readonly status: number
  readonly body: Buffer
}

interface Connection {
  send(request: string): Promise<Answer>
  close(): void
}

function printed({ method, path, body }: Shot, token: string): string {
  const text = body === undefined ? '' : JSON.stringify(body)
  const sized = text === '' ? '' : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n`
  const signed = token === '' ? '' : `Authorization: Bearer ${token}\r\n`
  return `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\n${signed}${sized}\r\n${text}`
}

function openConnection(port: number): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(speaking(socket))
    })
  })
}

function speaking(socket: Socket): Connection {
  let waiting: { resolve(answer: Answer): void; reject(error: Error): void } | undefined
  let received: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    const answer = readAnswer(received)
    if (!answer) return
    received = Buffer.alloc(0)
    waiting?.resolve(answer)
  })
  socket.on('error', (error) => waiting?.reject(error))
  socket.on('close', () => waiting?.reject(new Error('the server closed the connection')))
  return {
    send: (request) =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject }
        socket.write(request)
      }),
    close: () => {
      waiting = undefined
      socket.destroy()
    },
  }
}

/** The whole answer, once it is there. Ours always say their length, as nothing is compressed unasked. */
function readAnswer(bytes: Buffer): Answer | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = bytes.toString('latin1', 0, end)
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
  if (bytes.length < end + 4 + length) return undefined
  return { status: Number(head.slice(9, 12)), body: bytes.subarray(end + 4, end + 4 + length) }
}
