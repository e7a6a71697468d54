/** What a mail says, before it is text and HTML. */
export interface Letter {
  readonly subject: string
  /** Paragraphs of plain text. */
  readonly paragraphs: readonly string[]
  /** What to press, after the first paragraph. */
  readonly link?: { readonly label: string; readonly url: string }
}

/** A letter as its receiver gets it. What people typed is text in it, never HTML. */
export function render(
  name: string,
  { subject, paragraphs, link }: Letter,
): { subject: string; text: string; html: string } {
  const [first = '', ...rest] = paragraphs
  const greeting = `Hello ${name},`
  const text = [greeting, first, ...(link ? [link.url] : []), ...rest].join('\n\n')
  const html = [
    paragraph(greeting),
    paragraph(first),
    ...(link ? [`<p><a href="${escaped(link.url)}">${escaped(link.label)}</a></p>`, paragraph(link.url)] : []),
    ...rest.map(paragraph),
  ].join('\n')
  return { subject, text: `${text}\n`, html: `<!doctype html>\n<html lang="en"><body>\n${html}\n</body></html>\n` }
}

const paragraph = (text: string): string => `<p>${escaped(text)}</p>`

const escaped = (text: string): string => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)
