import type { Server as HttpServer } from 'node:http'
import type { Duplex } from 'node:stream'
import { Server } from 'socket.io'
import { sleep } from '../../kernel/clock.ts'

/** Socket.IO at `/ws`, on the server of the app. */
export interface SocketServer {
  readonly io: Server
  /** Begins to take sockets. The app's own handler must be on the server already: it gets what is not ours. */
  open(server: HttpServer): void
  /** Takes no more, lets the sockets be told, waits a moment for them to go, and ends those that stay. */
  close(tellAll: () => { readonly size: number }): Promise<void>
}

const longestFarewell = 1_500

/** Makes the Socket.IO server, not yet open. */
export function createSocketServer(corsOrigins: readonly string[]): SocketServer {
  let closing = false
  const streams = new Set<Duplex>()
  const io = new Server({
    path: '/ws',
    serveClient: false,
    maxHttpBufferSize: 16 * 1024,
    connectTimeout: 10_000,
    httpCompression: false,
    perMessageDeflate: false,
    allowRequest: (_request, decide) => decide(closing ? 'the server is stopping' : null, !closing),
    ...(corsOrigins.length > 0 ? { cors: { origin: corsOrigins.includes('*') ? '*' : [...corsOrigins] } } : {}),
  })
  return {
    io,
    open: (server) => {
      io.attach(server)
      server.on('upgrade', (_request, stream) => {
        streams.add(stream)
        stream.once('close', () => streams.delete(stream))
      })
    },
    close: async (tellAll) => {
      closing = true
      const left = tellAll()
      const latest = Date.now() + longestFarewell
      while (left.size > 0 && Date.now() < latest) await sleep(20)
      // Not `io.close()`: it would close the server of the app, which may still be answering.
      io.engine?.close()
      for (const stream of streams) stream.destroy()
    },
  }
}
