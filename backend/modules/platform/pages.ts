import { createHash } from 'node:crypto'

/** The form by which a platform operator signs in, with what was wrong the last time. */
export const signInPage = (action: string, problem?: string): string =>
  page(
    'Sign in',
    `${problem ? `<p role="alert">${problem}</p>` : ''}
    <form method="post" action="${action}">
      <label>Email <input name="email" type="email" autocomplete="username" required autofocus></label>
      <label>Password <input name="password" type="password" autocomplete="current-password" required></label>
      <button>Sign in</button>
    </form>`,
  )

/** Asks before it signs out: a link alone must change nothing. */
export const signOutPage = (action: string, back: string): string =>
  page(
    'Sign out',
    `<form method="post" action="${action}"><button>Sign out</button></form>
    <p><a href="${back}">Back to the queues</a></p>`,
  )

const style = `
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
  body { display: grid; place-content: center; min-height: 100vh; margin: 0 }
  main { width: 20rem; padding: 1rem }
  form { display: grid; gap: 1rem }
  label { display: grid; gap: .25rem }
  input, button { font: inherit; padding: .5rem .75rem }
  [role=alert] { color: light-dark(#b00020, #ff8a80) }
`

/** What these pages may load: the style that stands in them, and nothing else. */
export const pagePolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

const page = (title: string, content: string): string => `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="robots" content="noindex">
  <title>${title} · ClientForge queues</title>
  <style>${style}</style>
</head>
<body>
  <main>
    <h1>Job queues</h1>
    ${content}
  </main>
</body>
</html>
`
