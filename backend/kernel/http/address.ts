import type { IncomingMessage } from 'node:http'
import express from 'express'

/**
 * Reads the address of who sends a request, past the proxies that are trusted: what Express does for its own requests,
 * for those that it never sees. The last address that no trusted proxy vouches for is the caller's.
 */
export function createAddressOf(trustProxy: string | number | boolean): (request: IncomingMessage) => string | null {
  const app = express()
  app.set('trust proxy', trustProxy)
  const trusts: (address: string, hop: number) => boolean = app.get('trust proxy fn')
  return (request) => {
    const forwarded = String(request.headers['x-forwarded-for'] ?? '')
    const addresses = [
      request.socket.remoteAddress ?? '',
      ...forwarded
        .split(',')
        .map((each) => each.trim())
        .filter((each) => each !== '')
        .reverse(),
    ]
    const place = addresses.findIndex((address, hop) => !trusts(address, hop))
    return addresses.at(place) || null
  }
}
