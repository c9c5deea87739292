/** This browser's push subscription: made, told to the server, taken back. */
import { api } from '@/api/client'
import { language } from '@/i18n'

export interface Browser { id: string; label: string; madeAt: string; seenAt: string | null }

/** Why there is no push here; null when there may be. */
export type Obstacle = 'unsupported' | 'insecure' | 'blocked'

export function obstacle(): Obstacle | null {
  if (!globalThis.isSecureContext) return 'insecure'
  if (!('serviceWorker' in navigator) || !('PushManager' in globalThis) || !('Notification' in globalThis)) return 'unsupported'
  return Notification.permission === 'denied' ? 'blocked' : null
}

/** The worker speaks the page's language: its address carries it. */
export const worker = (): Promise<ServiceWorkerRegistration> => navigator.serviceWorker.register(`/sw.js?language=${language()}`)

/** base64url, as the server writes its key, to bytes. */
export function keyBytes(text: string): Uint8Array<ArrayBuffer> {
  const padded = text.replaceAll('-', '+').replaceAll('_', '/') + '='.repeat((4 - (text.length % 4)) % 4)
  return Uint8Array.from(atob(padded), (letter) => letter.charCodeAt(0))
}

const BROWSERS: readonly [RegExp, string][] = [[/Edg\//, 'Edge'], [/Firefox\//, 'Firefox'], [/Chrome\//, 'Chrome'], [/Safari\//, 'Safari']]
const SYSTEMS: readonly [RegExp, string][] = [[/Android/, 'Android'], [/iPhone|iPad/, 'iOS'], [/Windows/, 'Windows'], [/Mac OS/, 'macOS'], [/Linux/, 'Linux']]

/** `Chrome · Windows`: enough to know one's own devices apart. */
export function labelOf(agent: string): string {
  const found = [BROWSERS, SYSTEMS].map((known) => known.find(([pattern]) => pattern.test(agent))?.[1])
  return found.filter(Boolean).join(' · ')
}

/** Asks for permission, subscribes, tells the server. Null when the person said no. */
export async function switchOn(): Promise<Browser | null> {
  if (await Notification.requestPermission() !== 'granted') return null
  const { publicKey } = await api.get<{ publicKey: string }>('/reach/push-key')
  const registration = await worker()
  await navigator.serviceWorker.ready
  const key = keyBytes(publicKey)
  let subscription = await registration.pushManager.getSubscription()
  if (subscription && !sameKey(subscription, key)) {
    // Of another server, or of this one before its secret changed: nobody can push to it any more.
    await subscription.unsubscribe()
    subscription = null
  }
  subscription ??= await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key })
  return await tell(subscription)
}

function sameKey(subscription: PushSubscription, key: Uint8Array): boolean {
  const used = subscription.options.applicationServerKey
  return used !== null && key.length === used.byteLength && new Uint8Array(used).every((byte, index) => byte === key[index])
}

async function tell(subscription: PushSubscription): Promise<Browser> {
  const { endpoint, keys } = subscription.toJSON()
  return await api.post<Browser>('/reach/subscriptions', { endpoint, keys, label: labelOf(navigator.userAgent) })
}

/** A browser that is subscribed belongs to whoever signed in last: told once a page. */
export async function claimThisBrowser(): Promise<Browser | null> {
  if (obstacle() !== null || Notification.permission !== 'granted') return null
  const subscription = await (await navigator.serviceWorker.getRegistration())?.pushManager.getSubscription()
  return subscription ? await tell(subscription) : null
}
