/** Texts of one feature: strings, in groups where that helps. */
export interface Texts { [key: string]: string | Texts }

/** `../<feature>/locales/zh.json` (or `words`, which come later) becomes `{<feature>: …}`: a text is named `feature.key`. */
export function merge(files: Record<string, Texts>): Texts {
  const messages: Texts = {}
  for (const [path, texts] of Object.entries(files)) {
    const feature = /\/([^/]+)\/(?:locales|words)\//.exec(path)?.[1]
    if (feature) messages[feature] = { ...(messages[feature] as Texts | undefined), ...texts }
  }
  return messages
}
