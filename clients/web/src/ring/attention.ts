/** Title flash: two texts in turn, so that a hidden tab is seen. */
const FLASH_MS = 1_000

export class TitleFlash {
  private timer: ReturnType<typeof setInterval> | undefined
  private before = ''

  start(text: string): void {
    this.stop()
    this.before = document.title
    document.title = text
    this.timer = setInterval(() => { document.title = document.title === text ? this.before : text }, FLASH_MS)
  }

  stop(): void {
    if (this.timer === undefined) return
    clearInterval(this.timer)
    this.timer = undefined
    document.title = this.before
  }
}

/** A system notification when the page is not in front and the user allowed it. No patient data: lock screens are read by all. */
export function notify(title: string, body: string, tag: string): Pick<Notification, 'close'> | null {
  if (!('Notification' in globalThis) || Notification.permission !== 'granted' || document.visibilityState === 'visible') return null
  try {
    const note = new Notification(title, { body, tag, requireInteraction: true })
    note.onclick = () => {
      window.focus()
      note.close()
    }
    return note
  } catch (error) {
    // Chrome on Android only notifies from service workers and says so with a TypeError.
    if (!(error instanceof TypeError)) throw error
    return byWorker(title, body, tag)
  }
}

/** Shown by the worker, where there is one; whoever closes it early closes it as soon as it is there. */
function byWorker(title: string, body: string, tag: string): Pick<Notification, 'close'> {
  const shown = navigator.serviceWorker?.getRegistration().then(async (registration) => {
    await registration?.showNotification(title, { body, tag, requireInteraction: true })
    return await registration?.getNotifications({ tag }) ?? []
  })
  return { close: () => void shown?.then((notes) => notes.forEach((note) => note.close())) }
}
