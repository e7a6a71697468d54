/** A cookie of ours as a browser sends it back; undefined when it sends none, or an empty one. */
export const readCookie = (header: string | undefined, name: string): string | undefined =>
  header
    ?.split(/; */)
    .find((pair) => pair.startsWith(`${name}=`))
    ?.slice(name.length + 1) || undefined

/** A cookie for ours alone: no script reads it, and no other site's page sends it; with `lax` a link of one does. */
export const printCookie = (
  name: string,
  value: string,
  { path, seconds, secure, lax }: { path: string; seconds: number; secure: boolean; lax?: true },
): string =>
  `${name}=${value}; Path=${path}; HttpOnly; SameSite=${lax ? 'Lax' : 'Strict'}; Max-Age=${seconds}${secure ? '; Secure' : ''}`
