import { expect, it } from 'vitest'
import { start, type HeadFiles } from './start'

const FILES: HeadFiles = { pages: { '/room/': ['/assets/room.js', '/assets/room.css'] }, languages: { zh: ['/assets/zh.js'], en: ['/assets/en.js'] }, begin: '/assets/begin.js' }
const SESSION = { accessToken: 'A', room: { token: 'R' } }

/** A page at `pathname`, before anything ran. */
function page(pathname: string, { chosen = null, browser = 'zh-CN', status = 200 }: { chosen?: string | null; browser?: string; status?: number } = {}) {
  const asked: string[] = []
  const loaded: string[] = []
  const here = {
    location: { pathname }, document: document.implementation.createHTMLDocument(), localStorage: { getItem: () => chosen }, navigator: { language: browser },
    fetch: (path: string) => {
      asked.push(path)
      return Promise.resolve(new Response(JSON.stringify(SESSION), { status }))
    },
  } as unknown as Parameters<typeof start>[1]
  start(FILES, here, (file) => {
    loaded.push(file)
    return Promise.resolve()
  })
  return { here, asked, loaded, links: [...here.document.head.querySelectorAll('link')].map((link) => link.getAttribute('href')) }
}

it('loads the language, and a page\'s files on its own address only', () => {
  expect(page('/room/c1').links).toEqual(['/assets/zh.js', '/assets/room.js', '/assets/room.css'])
  expect(page('/room/c1', { browser: 'en-GB' }).links[0]).toBe('/assets/en.js')
  expect(page('/c/c1', { chosen: 'zh', browser: 'en-GB' }).links).toEqual(['/assets/zh.js'])
  expect(page('/c/c1', { browser: 'de-DE' }).links).toEqual(['/assets/zh.js'])
})

it('renews the session, asks for the room\'s token with it, and lets the join begin', async () => {
  const { here, asked, loaded } = page('/room/con-1')
  expect(asked).toEqual(['/api/v1/auth/refresh?room=con-1'])
  expect(loaded).toEqual(['/assets/begin.js'])
  expect([here.hzHead?.room?.id, await here.hzHead?.room?.entry]).toEqual(['con-1', { token: 'R' }])
  // Cloned before it was read: the session still gets all of it.
  expect(await (await here.hzHead?.session)?.response.json()).toEqual(SESSION)
})

it('asks for no token on another page, and for nothing where no account is needed', () => {
  const home = page('/c/con-1')
  expect([home.asked, home.here.hzHead?.room, home.loaded]).toEqual([['/api/v1/auth/refresh'], undefined, []])
  for (const path of ['/login', '/g/secret']) expect(page(path).asked).toEqual([])
})

it('has no entry when nobody is signed in', async () => {
  const { here } = page('/room/con-1', { status: 401 })
  expect(await here.hzHead?.room?.entry).toBeNull()
  expect((await here.hzHead?.session)?.response.status).toBe(401)
})
