import type { Server } from 'node:http'

/** Begins to take requests; gives where: `http://127.0.0.1:3000`. Without a host it listens on all addresses. */
export function listen(
  server: Server,
  { port: wanted, host: asked }: { port: number; host: string | undefined },
): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(wanted, asked, () => {
      const address = server.address()
      const port = typeof address === 'object' && address ? address.port : wanted
      const host = asked === undefined || asked === '0.0.0.0' ? 'localhost' : asked
      resolve(`http://${host.includes(':') ? `[${host}]` : host}:${port}`)
    })
  })
}
