import { expect, it } from 'vitest'
import { filesOf, preloadScript, type Chunk } from './preload-routes.ts'

const chunk = (fileName: string, moduleIds: string[], imports: string[] = []): Chunk => ({ type: 'chunk', fileName, moduleIds, imports })
const bundle = {
  'assets/room.js': chunk('assets/room.js', ['/x/src/room/RoomPage.vue'], ['assets/media.js', 'assets/vendor.js']),
  'assets/media.js': chunk('assets/media.js', [], ['assets/vendor.js']),
  'assets/vendor.js': chunk('assets/vendor.js', []),
  'assets/desk.js': chunk('assets/desk.js', ['/x/src/desk/DeskPage.vue']),
}

it('lists a page\'s chunk and all that it imports, once', () => {
  expect(filesOf('src/room/RoomPage.vue', bundle)).toEqual(['/assets/room.js', '/assets/media.js', '/assets/vendor.js'])
})

it('lists nothing for a page that is not built', () => expect(filesOf('src/room/Nothing.vue', bundle)).toEqual([]))

it('preloads on the page\'s own address only', () => {
  const run = (pathname: string) => {
    const document = globalThis.document.implementation.createHTMLDocument()
    new Function('location', 'document', preloadScript({ '/room/': ['/assets/room.js'] }))({ pathname }, document)
    return [...document.head.querySelectorAll('link')].map((link) => link.getAttribute('href'))
  }
  expect(run('/room/c1')).toEqual(['/assets/room.js'])
  expect(run('/c/c1')).toEqual([])
})
