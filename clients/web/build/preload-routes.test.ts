import { expect, it } from 'vitest'
import { filesOf, preloadScript, type Chunk } from './preload-routes.ts'

const chunk = (fileName: string, moduleIds: string[], imports: string[] = []): Chunk => ({ type: 'chunk', fileName, moduleIds, imports })
const bundle = {
  'assets/room.js': { ...chunk('assets/room.js', ['/x/src/room/RoomPage.vue'], ['assets/media.js', 'assets/vendor.js']), viteMetadata: { importedCss: new Set(['assets/room.css']) } },
  'assets/media.js': chunk('assets/media.js', [], ['assets/vendor.js']),
  'assets/vendor.js': chunk('assets/vendor.js', []),
  'assets/desk.js': chunk('assets/desk.js', ['/x/src/desk/DeskPage.vue']),
}

it('lists a page\'s chunk and all that it imports, once', () => {
  expect(filesOf('src/room/RoomPage.vue', bundle)).toEqual(['/assets/room.js', '/assets/room.css', '/assets/media.js', '/assets/vendor.js'])
})

it('lists nothing for a page that is not built', () => expect(filesOf('src/room/Nothing.vue', bundle)).toEqual([]))

it('preloads the language, and a page\'s files on its own address only', () => {
  const run = (pathname: string, chosen: string | null, browser: string) => {
    const document = globalThis.document.implementation.createHTMLDocument()
    const code = preloadScript({ pages: { '/room/': ['/assets/room.js'] }, languages: { zh: ['/assets/zh.js'], en: ['/assets/en.js'] } })
    new Function('location', 'document', 'localStorage', 'navigator', code)({ pathname }, document, { getItem: () => chosen }, { language: browser })
    return [...document.head.querySelectorAll('link')].map((link) => link.getAttribute('href'))
  }
  expect(run('/room/c1', null, 'zh-CN')).toEqual(['/assets/zh.js', '/assets/room.js'])
  expect(run('/room/c1', null, 'en-GB')).toEqual(['/assets/en.js', '/assets/room.js'])
  expect(run('/c/c1', 'zh', 'en-GB')).toEqual(['/assets/zh.js'])
  expect(run('/c/c1', null, 'de-DE')).toEqual(['/assets/zh.js'])
})
