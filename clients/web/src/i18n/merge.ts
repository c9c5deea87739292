export type Messages = Record<string, Record<string, unknown>>

/** `../<feature>/locales/zh.json` becomes `{<feature>: …}`: a text is named `feature.key`. */
export function merge(files: Record<string, Record<string, unknown>>): Messages {
  const messages: Messages = {}
  for (const [path, texts] of Object.entries(files)) {
    const feature = /\/([^/]+)\/locales\//.exec(path)?.[1]
    if (feature) messages[feature] = texts
  }
  return messages
}
