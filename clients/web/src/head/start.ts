/** What the page's head starts before anything else is loaded. Runs inline, so it imports nothing and stays small. */

/** Files to load at once: of pages by the beginning of their address, of languages. `begin` is the room's first module. */
export interface HeadFiles { pages: Record<string, string[]>; languages: Record<string, string[]>; begin: string }

export interface Answer { response: Response; sentAt: number; receivedAt: number }

/** Answers on their way; each is taken once, by the session and by the room. In memory only. */
export interface Head {
  session?: Promise<Answer>
  /** What came with the session for the room of this address; nothing when it was refused. */
  room?: { id: string; entry: Promise<unknown> }
}

declare global {
  interface Window { hzHead?: Head }
}

/** Pages for people without an account. */
const OPEN = /^\/(login|g)(\/|$)/
const ROOM = /^\/room\/([\w-]+)\/?$/
const TIMEOUT_MS = 15_000

type Surroundings = Pick<Window, 'hzHead'> & { location: Pick<Location, 'pathname'> } & Pick<Window & typeof globalThis, 'document' | 'localStorage' | 'navigator' | 'fetch'>

function loadFiles({ pages, languages }: HeadFiles, { document, localStorage, location, navigator }: Surroundings): void {
  // The language is chosen as `src/i18n` chooses it.
  const language = localStorage.getItem('hz.language') ?? (navigator.language.startsWith('en') ? 'en' : 'zh')
  const files = new Set(languages[language])
  for (const [prefix, names] of Object.entries(pages)) if (location.pathname.startsWith(prefix)) names.forEach((name) => files.add(name))
  for (const href of files) {
    const kind = href.endsWith('.css') ? { rel: 'preload', as: 'style', crossOrigin: '' } : { rel: 'modulepreload' }
    document.head.append(Object.assign(document.createElement('link'), { href, ...kind }))
  }
}

/**
 * Starts to load the files of this address, renews the session, and asks for a room's token with it.
 *
 * Without it the browser learns what `/room/…` needs, and whose it is, only after the whole application ran: three round
 * trips more before the first frame.
 */
export function start(files: HeadFiles, here: Surroundings, load: (file: string) => Promise<unknown>): void {
  loadFiles(files, here)
  const { pathname } = here.location
  if (OPEN.test(pathname)) return
  const id = ROOM.exec(pathname)?.[1]
  const renew = async (): Promise<Answer> => {
    const sentAt = Date.now()
    const response = await here.fetch(`/api/v1/auth/refresh${id ? `?room=${id}` : ''}`, {
      method: 'POST', body: '{}', credentials: 'same-origin', signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: { 'Accept': 'application/json', 'Content-Type': 'application/json' },
    })
    return { response, sentAt, receivedAt: Date.now() }
  }
  // Without the session store's lock: it would be granted only when the application has run, 100 ms later. Two tabs that
  // spend the cookie at the same moment are both served (server/auth/service.py); the lock only keeps that rare.
  const session = renew()
  const head: Head = here.hzHead = { session }
  if (!id) return
  const entry = session.then(async ({ response }) => (response.ok ? (await response.clone().json() as { room?: unknown }).room : null))
  entry.catch(() => undefined) // whoever takes it asks again and is told why
  head.room = { id, entry }
  load(files.begin).catch(() => undefined) // the page imports it as well
}
