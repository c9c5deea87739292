// The one thing that runs without a page: shows a ring or a notice that came by Web Push. It stores nothing and answers no request of the page.
const LANGUAGE = new URL(self.location.href).searchParams.get('language') === 'en' ? 'en' : 'zh'
const WORDS = {
  zh: { urgent: '急会诊', diagnostic: '远程诊断', routine: '普通会诊', other: '会诊', open: '请打开会诊页面接诊', test: '试呼', tested: '这台设备可以收到呼叫。',
    taken: '已有同事接诊', cancelled: '申请方已取消呼叫', timed_out: '已转呼下一位', over: '呼叫已结束',
    takes: '接班', hands: '交班', moves: '换线', changed: '班次有变', gap: '有班无人值守', gapSoon: '24 小时内无人值守', gaps: (count) => `，共 ${count} 段`,
    swap: '换班', leave: '请假', stage: { asked: '等您答复', desk: '待您批准', agreed: '对方已同意，待值班台批准', approved: '已批准', refused: '未获同意', withdrawn: '已撤回', expired: '已过期，未生效' }, of: '：' },
  en: { urgent: 'Urgent consult', diagnostic: 'Remote reading', routine: 'Routine consult', other: 'Consult', open: 'Open the consult page to accept', test: 'Test ring', tested: 'This device can be rung.',
    taken: 'A colleague has taken it', cancelled: 'The call was cancelled', timed_out: 'The next in line is being called', over: 'The call is over',
    takes: 'Your shift begins', hands: 'Your shift ends', moves: 'You change lines', changed: 'Not your hand-over any more:', gap: 'A shift has nobody', gapSoon: 'Nobody within 24 hours', gaps: (count) => `, ${count} open in all`,
    swap: 'Swap', leave: 'Leave', stage: { asked: 'waits for your answer', desk: 'waits for your approval', agreed: 'agreed, waits for the desk', approved: 'approved', refused: 'refused', withdrawn: 'withdrawn', expired: 'expired without an answer' }, of: ': ' },
}[LANGUAGE]

self.addEventListener('install', () => void self.skipWaiting())
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()))

self.addEventListener('push', (event) => {
  const message = event.data?.json() ?? {}
  event.waitUntil(show(message).then(() => receipt(message.id)))
})

self.addEventListener('notificationclick', (event) => {
  event.notification.close()
  event.waitUntil(open(event.notification.data?.to))
})

async function show(message) {
  const notice = NOTICES[message.type]
  if (message.type === 'ring' || notice) {
    // A page in front rings by itself, with sound and a button, and says what the rota has to say.
    if ((await pages()).some((page) => page.visibilityState === 'visible')) return
    if (notice) await note(notice(message))
    else await note({ title: `${WORDS[message.urgency] ?? WORDS.other} · ${said(message.specialty)}`, body: `${said(message.place)} — ${WORDS.open}`, tag: message.offer, stays: true })
  } else if (message.type === 'ringEnded') {
    const shown = await self.registration.getNotifications({ tag: message.offer })
    if (shown.length > 0) await note({ title: WORDS[message.reason] ?? WORDS.over, tag: message.offer, silent: true })
  } else if (message.type === 'test') {
    await note({ title: WORDS.test, body: WORDS.tested, tag: 'test', silent: true })
  }
}

const NOTICES = {
  handover: (message) => {
    const [takes, hands] = [message.takes.length > 0, message.hands.length > 0]
    const what = takes && hands ? WORDS.moves : takes ? WORDS.takes : hands ? WORDS.hands : WORDS.changed
    return { title: `${what} ${time(message, 'at')} · ${said(message.specialty)}`, body: said(message.place), tag: `handover ${message.schedule}`, to: rota(message) }
  },
  gap: (message) => ({
    title: `${message.soon ? WORDS.gapSoon : WORDS.gap} · ${said(message.specialty)}`, body: `${said(message.place)} · ${span(message)}${message.count > 1 ? WORDS.gaps(message.count) : ''}`,
    tag: `gap ${message.schedule}`, to: rota(message),
  }),
  ask: (message) => {
    const stage = message.part === 'desk' ? 'desk' : message.stage === 'proposed' ? 'asked' : message.stage
    return { title: `${WORDS[message.ask]}${WORDS.of}${WORDS.stage[stage]}`, body: [said(message.specialty), span(message)].filter(Boolean).join(' · '), tag: message.askId, to: rota(message) }
  },
}

const said = (text) => text?.[LANGUAGE] || text?.zh || ''
const moment = (message, at, parts) => new Intl.DateTimeFormat(LANGUAGE === 'zh' ? 'zh-CN' : 'en', { timeZone: message.timeZone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23', ...parts }).format(new Date(message[at]))
const time = (message, at) => moment(message, at, {})
const span = (message) => `${moment(message, 'starts', { month: 'short', day: 'numeric' })} – ${moment(message, 'ends', { month: 'short', day: 'numeric' })}`
/** The calendar at the right rota and day, and the swap or leave in it. */
const rota = ({ schedule, day, askId }) => `/rota?${new URLSearchParams(Object.entries({ rota: schedule, day, ask: askId }).filter(([, value]) => value))}`

function note({ title, body = '', tag, to, stays = false, silent = false }) {
  return self.registration.showNotification(title, {
    body, tag, icon: '/icon.svg', lang: LANGUAGE === 'zh' ? 'zh-CN' : 'en', requireInteraction: stays, renotify: !silent, silent, data: { to },
    vibrate: stays ? [300, 120, 300, 120, 300] : undefined,
  })
}

async function receipt(id) {
  if (!id) return
  // Lost on a bad line: the ring was shown all the same, and only "last checked" stays older.
  await fetch(`/api/v1/reach/receipts/${encodeURIComponent(id)}`, { method: 'POST' }).catch(() => undefined)
}

const path = (page) => new URL(page.url).pathname

/** Pages of somebody who is signed in: a guest's room, the sign-in and what anybody may check ring for nobody. */
async function pages() {
  const all = await self.clients.matchAll({ type: 'window', includeUncontrolled: true })
  return all.filter((page) => !/^\/(g\/|login|verify|network)/.test(path(page)))
}

/** A page that is there is taken to `to`, but not out of a room: its call would end. */
async function open(to) {
  const page = (await pages()).find((one) => !to || !path(one).startsWith('/room/'))
  if (!page) return await self.clients.openWindow(to ?? '/')
  await page.focus()
  if (to) page.postMessage({ open: to })
}
