import { at, type Example, type Examples, nothing } from './call.ts'

/** Keys, service accounts, and who else may say who somebody is. */
export const onMachines: Examples = {
  ...machines('ApiKey', '/api-keys'),
  ...machines('ServiceAccount', '/service-accounts'),
  listOpenIdProviders: nothing,
  token: async ({ alice }) => {
    const { clientId, clientSecret } = (await alice.post('/service-accounts', machine())).body
    const body = { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret }
    return { body: new URLSearchParams(body) }
  },
}

/** The calls for keys and service accounts. */
function machines(name: string, path: string): Record<string, Example> {
  const made: Example = async ({ alice }) => at((await alice.post(path, machine())).body.id)
  return {
    [`list${name}`]: nothing,
    [`create${name}`]: async () => ({ body: machine() }),
    [`rotate${name}`]: made,
    [`delete${name}`]: made,
  }
}

const machine = () => ({ name: 'Sync', scopes: ['contact:read'] })
