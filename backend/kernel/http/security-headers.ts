import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import helmet from 'helmet'

/**
 * What helmet sets on each answer, worked out once: on every request it would cost a quarter of Express. The reference
 * page works under the same policy; `upgrade-insecure-requests` is left out, as plain http on the loopback must work.
 */
export const securityHeaders: Readonly<Record<string, string>> = collect()

function collect(): Record<string, string> {
  const request = new IncomingMessage(new Socket())
  const response = new ServerResponse(request)
  helmet({ contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } }, strictTransportSecurity: false })(
    request,
    response,
    (error) => {
      if (error) throw error
    },
  )
  return Object.fromEntries(Object.entries(response.getHeaders()).map(([name, value]) => [name, String(value)]))
}
