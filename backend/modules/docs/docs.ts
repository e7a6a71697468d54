import express, { type Express } from 'express'
import { getAbsoluteFSPath } from 'swagger-ui-dist'

/** Serves `/openapi.json`, and at `/docs` a reference page that needs no network: all its files are ours. */
export function mountDocs(app: Express, document: () => string): void {
  app.get('/openapi.json', (_request, response) => {
    response.type('application/json').send(document())
  })
  app.get('/docs/swagger-initializer.js', (_request, response) => {
    response.type('text/javascript').send(initializer)
  })
  app.use('/docs', express.static(getAbsoluteFSPath(), { index: 'index.html', etag: true, fallthrough: true }))
}

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
