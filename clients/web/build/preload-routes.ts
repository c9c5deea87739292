import { createHash } from 'node:crypto'
import type { Plugin } from 'vite'

export interface Chunk { type: string; fileName: string; moduleIds?: string[]; imports?: string[] }

/** The files that a lazily loaded module needs, itself first, as paths below `/`. */
export function filesOf(module: string, bundle: Record<string, Chunk>): string[] {
  const found: string[] = []
  const visit = (chunk: Chunk | undefined) => {
    if (!chunk || found.includes(`/${chunk.fileName}`)) return
    found.push(`/${chunk.fileName}`)
    chunk.imports?.forEach((name) => visit(bundle[name]))
  }
  visit(Object.values(bundle).find((chunk) => chunk.type === 'chunk' && chunk.moduleIds?.some((id) => id.endsWith(module))))
  return found
}

/** The script that does it: a table of path prefixes and files. */
export function preloadScript(table: Record<string, string[]>): string {
  return `for(const[p,f]of Object.entries(${JSON.stringify(table)}))if(location.pathname.startsWith(p))for(const h of f)`
    + 'document.head.append(Object.assign(document.createElement("link"),{rel:"modulepreload",href:h}));\n'
}

/**
 * Starts to load a lazy page's files while the entry is still on its way.
 *
 * Without it the browser learns what `/room/…` needs only after the entry ran: one round trip more before the first
 * frame. It is a file of its own because the server's content security policy allows no inline script.
 */
export function preloadRoutes(pages: Record<string, string>): Plugin {
  return {
    name: 'huizhen-preload-routes',
    apply: 'build',
    enforce: 'post',
    generateBundle(_options, bundle) {
      const chunks = bundle as unknown as Record<string, Chunk>
      const code = preloadScript(Object.fromEntries(Object.entries(pages).map(([prefix, module]) => [prefix, filesOf(module, chunks)])))
      const fileName = `assets/preload-${createHash('sha256').update(code).digest('hex').slice(0, 8)}.js`
      this.emitFile({ type: 'asset', fileName, source: code })
      const html = bundle['index.html']
      if (html?.type !== 'asset') throw new Error('index.html is not in the bundle yet')
      html.source = String(html.source).replace('<script type="module"', `<script async src="/${fileName}"></script>\n    <script type="module"`)
    },
  }
}
