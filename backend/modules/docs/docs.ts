import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import express, { type Express } from 'express'

/** Serves `/openapi.json`, and at `/docs` a reference page that needs no network: all its files are ours. */
export function mountDocs(app: Express, document: () => string): void {
  app.get('/openapi.json', (_request, response) => {
    response.type('application/json').send(document())
  })
  app.get('/docs/swagger-initializer.js', (_request, response) => {
    response.type('text/javascript').send(initializer)
  })
  app.use('/docs', express.static(page, { index: 'index.html', etag: true, fallthrough: true }))
}

// Importing the package would load the page's own program into this process: 15 MB that nobody runs here.
const page = dirname(fileURLToPath(import.meta.resolve('swagger-ui-dist/package.json')))

const initializer = `window.onload = () => {
  window.ui = SwaggerUIBundle({
    url: '/openapi.json',
    dom_id: '#swagger-ui',
    deepLinking: true,
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    layout: 'BaseLayout',
    persistAuthorization: true,
    validatorUrl: null,
  })
}
`
