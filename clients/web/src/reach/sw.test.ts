/** The worker's own script, on a browser made of notes: it stands outside the bundle, as `public/sw.js`. */
import { readFileSync } from 'node:fs'
import { beforeEach, describe, expect, it, vi } from 'vitest'

interface Shown { title: string; body: string; tag: string; silent: boolean; requireInteraction: boolean; data: { to?: string } }
interface Page { url: string; visibilityState: string; focus: () => Promise<void>; postMessage: (message: unknown) => void }

const source = readFileSync('public/sw.js', 'utf8')
const ROTA = { schedule: 'sch-1', specialty: { zh: '心血管内科', en: 'Cardiology' }, place: { zh: '云岭县人民医院', en: 'Yunling County Hospital' }, timeZone: 'Asia/Shanghai', day: '2026-03-03' }
const AT = { starts: '2026-03-03T00:00:00.000Z', ends: '2026-03-04T00:00:00.000Z' }

let shown: Shown[]
let pages: Page[]
let went: string[]
const receipts = vi.fn<(url: string) => Promise<Response>>(() => Promise.resolve(new Response()))

function page(url: string, visibilityState = 'hidden'): Page {
  return { url: `https://site${url}`, visibilityState, focus: () => Promise.resolve(void went.push(`focus ${url}`)), postMessage: (message) => void went.push(JSON.stringify(message)) }
}

function worker(language: string) {
  const listeners: Record<string, (event: unknown) => void> = {}
  const self = {
    location: { href: `https://site/sw.js?language=${language}` },
    addEventListener: (name: string, listener: (event: unknown) => void) => { listeners[name] = listener },
    clients: { matchAll: () => Promise.resolve(pages), openWindow: (to: string) => Promise.resolve(void went.push(`window ${to}`)) },
    registration: {
      showNotification: (title: string, options: Omit<Shown, 'title'>) => Promise.resolve(void shown.push({ title, ...options })),
      getNotifications: ({ tag }: { tag: string }) => Promise.resolve(shown.filter((one) => one.tag === tag)),
    },
  }
  new Function('self', 'fetch', source)(self, receipts)
  const fire = async (name: string, event: object) => {
    let work: unknown
    listeners[name]?.({ ...event, waitUntil: (promise: unknown) => { work = promise } })
    await work
  }
  return {
    push: (message: object) => fire('push', { data: { json: () => message } }),
    click: (data: object) => fire('notificationclick', { notification: { close: () => undefined, data } }),
  }
}

beforeEach(() => {
  shown = []
  pages = []
  went = []
  receipts.mockClear()
})

describe('the worker without a page', () => {
  it.each([
    ['zh', { type: 'handover', ...ROTA, at: AT.starts, takes: [1], hands: [] }, '接班 08:00 · 心血管内科', '云岭县人民医院'],
    ['en', { type: 'handover', ...ROTA, at: AT.starts, takes: [], hands: [2] }, 'Your shift ends 08:00 · Cardiology', 'Yunling County Hospital'],
    ['en', { type: 'handover', ...ROTA, at: AT.starts, takes: [1], hands: [2] }, 'You change lines 08:00 · Cardiology', 'Yunling County Hospital'],
    ['zh', { type: 'handover', ...ROTA, at: AT.starts, takes: [], hands: [] }, '班次有变 08:00 · 心血管内科', '云岭县人民医院'],
    ['zh', { type: 'gap', ...ROTA, ...AT, count: 3, soon: true }, '24 小时内无人值守 · 心血管内科', '云岭县人民医院 · 3月3日 08:00 – 3月4日 08:00，共 3 段'],
    ['en', { type: 'gap', ...ROTA, ...AT, count: 1, soon: false }, 'A shift has nobody · Cardiology', 'Yunling County Hospital · Mar 3, 08:00 – Mar 4, 08:00'],
    ['zh', { type: 'ask', ...ROTA, ...AT, ask: 'swap', askId: 'swp-1', stage: 'proposed', part: 'other' }, '换班：等您答复', '心血管内科 · 3月3日 08:00 – 3月4日 08:00'],
    ['zh', { type: 'ask', ...ROTA, ...AT, ask: 'swap', askId: 'swp-1', stage: 'agreed', part: 'desk' }, '换班：待您批准', '心血管内科 · 3月3日 08:00 – 3月4日 08:00'],
    ['en', { type: 'ask', ...AT, timeZone: 'UTC', ask: 'leave', askId: 'lve-1', stage: 'refused', part: 'asker' }, 'Leave: refused', 'Mar 3, 00:00 – Mar 4, 00:00'],
  ])('says in %s what %o is', async (language, message, title, body) => {
    await worker(language).push({ ...message, id: 'dlv-1' })
    expect(shown).toMatchObject([{ title, body, silent: false, requireInteraction: false }])
    expect(receipts.mock.calls[0]?.[0]).toBe('/api/v1/reach/receipts/dlv-1')
  })

  it('shows neither ring nor notice where a page is in front that says it, and both where only others are', async () => {
    const ring = { type: 'ring', urgency: 'urgent', offer: 'off-1', specialty: ROTA.specialty, place: ROTA.place }
    const gap = { type: 'gap', ...ROTA, ...AT, count: 1, soon: false }
    pages = [page('/desk', 'visible')]
    for (const one of [ring, gap]) await worker('zh').push(one)
    expect(shown).toEqual([])
    pages = [page('/desk'), page('/g/secret', 'visible'), page('/login?next=/', 'visible')]
    for (const one of [ring, gap]) await worker('zh').push(one)
    expect(shown).toMatchObject([{ title: '急会诊 · 心血管内科', requireInteraction: true, tag: 'off-1' }, { tag: 'gap sch-1' }])
  })

  it('takes the click to the right page, and nobody out of a room', async () => {
    await worker('zh').push({ type: 'ask', ...ROTA, ...AT, ask: 'swap', askId: 'swp-1', stage: 'proposed', part: 'other' })
    await worker('zh').push({ type: 'ask', ...AT, ask: 'leave', askId: 'lve-1', stage: 'approved', part: 'asker' })
    expect(shown.map((one) => one.data.to)).toEqual(['/rota?rota=sch-1&day=2026-03-03&ask=swp-1', '/rota?ask=lve-1'])
    pages = [page('/room/con-1', 'visible'), page('/')]
    await worker('zh').click(shown[0]?.data ?? {})
    expect(went).toEqual(['focus /', '{"open":"/rota?rota=sch-1&day=2026-03-03&ask=swp-1"}'])
    went = []
    pages = [page('/room/con-1', 'visible'), page('/g/secret')]
    await worker('zh').click(shown[0]?.data ?? {})
    await worker('zh').click({})
    expect(went).toEqual(['window /rota?rota=sch-1&day=2026-03-03&ask=swp-1', 'focus /room/con-1'])
  })
})
