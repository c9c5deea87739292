import { createHash } from 'node:crypto'
import type { Plugin } from 'vite'

export interface Chunk { type: string; fileName: string; moduleIds?: string[]; imports?: string[]; viteMetadata?: { importedCss: Set<string> } }

/** The files that a lazily loaded module needs, scripts and styles, its own first, as paths below `/`. */
export function filesOf(module: string, bundle: Record<string, Chunk>): string[] {
  const found: string[] = []
  const visit = (chunk: Chunk | undefined) => {
    if (!chunk || found.includes(`/${chunk.fileName}`)) return
    found.push(`/${chunk.fileName}`)
    chunk.viteMetadata?.importedCss.forEach((name) => found.push(`/${name}`))
    chunk.imports?.forEach((name) => visit(bundle[name]))
  }
  visit(Object.values(bundle).find((chunk) => chunk.type === 'chunk' && chunk.moduleIds?.some((id) => id.endsWith(module))))
  return found
}

/** Path prefixes and languages, each with what it needs: modules by their source, files by their address. */
export interface Preloads { pages: Record<string, string>; languages: Record<string, string> }
export interface PreloadFiles { pages: Record<string, string[]>; languages: Record<string, string[]> }

/** The script that does it. The language is chosen as `src/i18n` chooses it. */
export function preloadScript({ pages, languages }: PreloadFiles): string {
  return `{const l=localStorage.getItem("hz.language")||(navigator.language.startsWith("en")?"en":"zh"),`
    + `s=new Set(${JSON.stringify(languages)}[l]);`
    + `for(const[p,f]of Object.entries(${JSON.stringify(pages)}))if(location.pathname.startsWith(p))f.forEach(h=>s.add(h));`
    + 'for(const h of s)document.head.append(Object.assign(document.createElement("link"),{href:h},'
    + 'h.endsWith(".css")?{rel:"preload",as:"style",crossOrigin:""}:{rel:"modulepreload"}))}\n'
}

/**
 * Starts to load a lazy page's files, and the language's, while the entry is still on its way.
 *
 * Without it the browser learns what `/room/…` needs only after the entry ran: one round trip more before the first
 * frame. It is a file of its own because the server's content security policy allows no inline script.
 */
export function preloadRoutes(preloads: Preloads): Plugin {
  return {
    name: 'huizhen-preload-routes',
    apply: 'build',
    enforce: 'post',
    generateBundle(_options, bundle) {
      const chunks = bundle as unknown as Record<string, Chunk>
      const files = (modules: Record<string, string>) => Object.fromEntries(Object.entries(modules).map(([name, module]) => [name, filesOf(module, chunks)]))
      const code = preloadScript({ pages: files(preloads.pages), languages: files(preloads.languages) })
      const fileName = `assets/preload-${createHash('sha256').update(code).digest('hex').slice(0, 8)}.js`
      this.emitFile({ type: 'asset', fileName, source: code })
      const html = bundle['index.html']
      if (html?.type !== 'asset') throw new Error('index.html is not in the bundle yet')
      html.source = String(html.source).replace('<script type="module"', `<script async src="/${fileName}"></script>\n    <script type="module"`)
    },
  }
}
