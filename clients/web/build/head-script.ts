import { gzipSync } from 'node:zlib'
import type { Plugin } from 'vite'
import type { HeadFiles } from '../src/head/start.ts'

export interface Chunk {
  type: string; fileName: string; code?: string; source?: string | Uint8Array; moduleIds?: string[]; imports?: string[]; viteMetadata?: { importedCss: Set<string> }
}

const holding = (module: string, bundle: Record<string, Chunk>) =>
  Object.values(bundle).find((chunk) => chunk.type === 'chunk' && chunk.moduleIds?.some((id) => id.endsWith(module)))

/** The files that a lazily loaded module needs, scripts and styles, its own first, as paths below `/`. */
export function filesOf(module: string, bundle: Record<string, Chunk>): string[] {
  const found: string[] = []
  const visit = (chunk: Chunk | undefined) => {
    if (!chunk || found.includes(`/${chunk.fileName}`)) return
    found.push(`/${chunk.fileName}`)
    chunk.viteMetadata?.importedCss.forEach((name) => found.push(`/${name}`))
    chunk.imports?.forEach((name) => visit(bundle[name]))
  }
  visit(holding(module, bundle))
  return found
}

/** What a page may cost before its first picture, compressed (gzip): 3 s on a village's line of 400 kbit/s. */
export const FIRST_LOAD_BYTES = 150_000

/** The bytes of `files` as they travel (gzip, level 9). */
export function travelling(files: Iterable<string>, bundle: Record<string, Chunk>): number {
  const sizes = [...files].map((file) => {
    const { code, source = '' } = bundle[file.replace(/^\//, '')] ?? {}
    return gzipSync(code ?? source, { level: 9 }).length
  })
  return sizes.reduce((total, size) => total + size, 0)
}

/** Modules by their source: of pages by the beginning of their address, of languages; and the room's first module. */
export interface HeadModules { pages: Record<string, string>; languages: Record<string, string>; begin: string }

/** Puts `script` where nothing is waited for yet: a style sheet before it would hold it up. */
export function withHeadScript(html: string, script: string): string {
  if (script.includes('</')) throw new Error('the head script would end its own element')
  const at = html.indexOf('>', html.indexOf('<meta charset')) + 1
  return `${html.slice(0, at)}\n    <script>${script}</script>${html.slice(at)}`
}

/**
 * Builds `src/head` and writes it into index.html, with the names of the files that it loads.
 *
 * It is inline because a file of its own would cost the round trip that it saves; the server's content security policy
 * names its hash (server/web_client.py).
 */
export function headScript(modules: HeadModules): Plugin {
  const source = 'src/head/index.ts'
  return {
    name: 'huizhen-head-script',
    apply: 'build',
    enforce: 'post',
    buildStart() {
      this.emitFile({ type: 'chunk', id: source, name: 'head' })
    },
    generateBundle(_options, bundle) {
      const chunks = bundle as unknown as Record<string, Chunk>
      const files = (of: Record<string, string>) => Object.fromEntries(Object.entries(of).map(([name, module]) => [name, filesOf(module, chunks)]))
      const [begin] = filesOf(modules.begin, chunks)
      const head = holding(source, chunks)
      const html = bundle['index.html']
      if (!begin || !head?.code || head.imports?.length || html?.type !== 'asset') throw new Error('the head script is not what it was: look at build/head-script.ts')
      const written: HeadFiles = { pages: files(modules.pages), languages: files(modules.languages), begin }
      // Its own scope: a plain script's names would be everybody's.
      const code = `(()=>{${head.code.replace('__HEAD_FILES__', () => JSON.stringify(written)).trim()}})()`
      html.source = withHeadScript(String(html.source), code)
      Reflect.deleteProperty(bundle, head.fileName)
      for (const [page, own] of Object.entries(written.pages)) {
        const all = (language: string[]) => new Set(['index.html', ...filesOf('src/main.ts', chunks), ...own, ...language])
        const bytes = Math.max(...Object.values(written.languages).map((language) => travelling(all(language), chunks)))
        if (bytes > FIRST_LOAD_BYTES) throw new Error(`the first load of ${page} is ${bytes} bytes compressed, ${FIRST_LOAD_BYTES} are allowed`)
        this.info(`first load of ${page}: ${bytes} bytes compressed`)
      }
    },
  }
}
