import type { Plugin } from 'vite'

interface Chunk { type: string; fileName: string; facadeModuleId?: string | null; moduleIds?: string[]; imports?: string[]; isDynamicEntry?: boolean }

/** The files that a lazily loaded module needs, itself first, as paths below `/`. */
export function filesOf(module: string, bundle: Record<string, Chunk>): string[] {
  const start = Object.values(bundle).find((chunk) => chunk.type === 'chunk' && chunk.moduleIds?.some((id) => id.endsWith(module)))
  const found: string[] = []
  const visit = (chunk: Chunk | undefined) => {
    if (!chunk || found.includes(`/${chunk.fileName}`)) return
    found.push(`/${chunk.fileName}`)
    chunk.imports?.forEach((name) => visit(bundle[name]))
  }
  visit(start)
  return found
}

/**
 * Starts to load a lazy page's files while the entry is still on its way.
 *
 * Without it the browser learns what `/room/…` needs only after the entry ran: one round trip more before the first
 * frame. The inline script is static, so a content security policy can allow it by its hash.
 */
export function preloadRoutes(pages: Record<string, string>): Plugin {
  return {
    name: 'huizhen-preload-routes',
    apply: 'build',
    transformIndexHtml: {
      order: 'post',
      handler: (_html, context) => {
        const bundle = (context.bundle ?? {}) as unknown as Record<string, Chunk>
        const table = Object.fromEntries(Object.entries(pages).map(([prefix, module]) => [prefix, filesOf(module, bundle)]))
        const code = `for(const[p,f]of Object.entries(${JSON.stringify(table)}))if(location.pathname.startsWith(p))for(const h of f)`
          + `document.head.append(Object.assign(document.createElement('link'),{rel:'modulepreload',href:h}))`
        return [{ tag: 'script', children: code, injectTo: 'head-prepend' }]
      },
    },
  }
}
