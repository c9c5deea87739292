import { expect, it } from 'vitest'
import { filesOf, travelling, withHeadScript, type Chunk } from './head-script.ts'

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

it('puts the script before everything that could hold it up', () => {
  const html = withHeadScript('<head><meta charset="utf-8" /><link rel="stylesheet"></head>', 'run()')
  expect(html.replaceAll(/\s*\n\s*/g, '')).toBe('<head><meta charset="utf-8" /><script>run()</script><link rel="stylesheet"></head>')
  expect(() => withHeadScript(html, '"</script>"')).toThrow('end its own element')
})

it('counts each file of a first load once, as it travels', () => {
  const written = { 'a.js': { ...chunk('a.js', []), code: 'x'.repeat(10_000) }, 'a.css': { type: 'asset', fileName: 'a.css', source: 'p{}' } }
  const css = travelling(['/a.css'], written)
  expect(css).toBeGreaterThan(3)
  expect(travelling(new Set(['/a.js', '/a.css', '/a.css']), written) - css).toBeLessThan(100)
  expect(travelling(['/a.js'], written)).toBeGreaterThan(20)
})
