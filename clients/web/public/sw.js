// The one thing that runs without a page: shows a ring that came by Web Push. It stores nothing and answers no request of the page.
const LANGUAGE = new URL(self.location.href).searchParams.get('language') === 'en' ? 'en' : 'zh'
const WORDS = {
  zh: { urgent: '急会诊', diagnostic: '远程诊断', routine: '普通会诊', other: '会诊', open: '请打开会诊页面接诊', test: '试呼', tested: '这台设备可以收到呼叫。',
    taken: '已有同事接诊', cancelled: '申请方已取消呼叫', timed_out: '已转呼下一位', over: '呼叫已结束' },
  en: { urgent: 'Urgent consult', diagnostic: 'Remote reading', routine: 'Routine consult', other: 'Consult', open: 'Open the consult page to accept', test: 'Test ring', tested: 'This device can be rung.',
    taken: 'A colleague has taken it', cancelled: 'The call was cancelled', timed_out: 'The next in line is being called', over: 'The call is over' },
}[LANGUAGE]

self.addEventListener('install', () => void self.skipWaiting())
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()))

self.addEventListener('push', (event) => {
  const message = event.data?.json() ?? {}
  event.waitUntil(show(message).then(() => receipt(message.id)))
})

self.addEventListener('notificationclick', (event) => {
  event.notification.close()
  event.waitUntil(open())
})

async function show(message) {
  const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true })
  if (message.type === 'ring') {
    // A page in front rings by itself, with sound and a button.
    if (pages.some((page) => page.visibilityState === 'visible')) return
    await note(`${WORDS[message.urgency] ?? WORDS.other} · ${said(message.specialty)}`, `${said(message.place)} — ${WORDS.open}`, message.offer, true)
  } else if (message.type === 'ringEnded') {
    const shown = await self.registration.getNotifications({ tag: message.offer })
    if (shown.length > 0) await note(WORDS[message.reason] ?? WORDS.over, '', message.offer, false)
  } else if (message.type === 'test') {
    await note(WORDS.test, WORDS.tested, 'test', false)
  }
}

const said = (text) => text?.[LANGUAGE] || text?.zh || ''

function note(title, body, tag, stays) {
  return self.registration.showNotification(title, {
    body, tag, icon: '/icon.svg', lang: LANGUAGE === 'zh' ? 'zh-CN' : 'en', requireInteraction: stays, renotify: stays, silent: !stays,
    vibrate: stays ? [300, 120, 300, 120, 300] : undefined,
  })
}

async function receipt(id) {
  if (!id) return
  // Lost on a bad line: the ring was shown all the same, and only "last checked" stays older.
  await fetch(`/api/v1/reach/receipts/${encodeURIComponent(id)}`, { method: 'POST' }).catch(() => undefined)
}

async function open() {
  const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true })
  const page = pages.find((one) => !new URL(one.url).pathname.startsWith('/g/'))
  if (page) await page.focus()
  else await self.clients.openWindow('/')
}
