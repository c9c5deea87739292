import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { api, ApiError, readAnswer, useCredentials } from '@/api/client'
import type { Practitioner, SessionReply } from '@/api/types'
import type { Answer } from '@/head/start'

/** Renewed this long before the account token ends, so that no request meets a token that has just ended. */
const RENEW_BEFORE_S = 30

/** Tabs renew one after another: a rotating refresh cookie must not be spent twice at the same moment. */
function oneTabAtATime<T>(work: () => Promise<T>): Promise<T> {
  const locks = navigator.locks as LockManager | null | undefined // there is none on an address without https
  return locks ? locks.request('hz.refresh', work) as Promise<T> : work()
}

/** The answer that the page's head asked for, once; null when there is none, or it failed on the way. */
async function fromHead(): Promise<Answer | null> {
  const { hzHead } = window
  const answer = hzHead?.session
  if (hzHead) hzHead.session = undefined
  return await answer?.catch(() => null) ?? null
}

export const useSession = defineStore('session', () => {
  const practitioner = shallowRef<Practitioner | null>(null)
  const accessToken = ref<string | null>(null)
  const loggedOut = ref(false)
  let running: Promise<boolean> | null = null
  let timer: ReturnType<typeof setTimeout> | undefined

  const signedIn = computed(() => practitioner.value !== null)

  function take(reply: SessionReply): void {
    accessToken.value = reply.accessToken
    practitioner.value = reply.practitioner
    clearTimeout(timer)
    timer = setTimeout(() => void refresh(), Math.max(5, reply.expiresIn - RENEW_BEFORE_S) * 1000)
  }

  function forget(): void {
    clearTimeout(timer)
    accessToken.value = null
    practitioner.value = null
  }

  async function login(username: string, password: string): Promise<void> {
    take(await api.post<SessionReply>('/auth/login', { username, password }))
  }

  /** A password of one's own in place of a temporary one; signs in. */
  async function renewPassword(username: string, password: string, newPassword: string): Promise<void> {
    take(await api.post<SessionReply>('/auth/password', { username, password, newPassword }))
  }

  async function renewOnce(): Promise<boolean> {
    try {
      const answer = await fromHead()
      take(await (answer ? readAnswer<SessionReply>(answer) : oneTabAtATime(() => api.post<SessionReply>('/auth/refresh'))))
      return true
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      // A line that is down does not end a session; only the server's word does.
      if (error.status === 401 || error.status === 403) forget()
      return false
    }
  }

  /** A new account token from the refresh cookie; many callers share one request. */
  function refresh(): Promise<boolean> {
    running ??= renewOnce().finally(() => { running = null })
    return running
  }

  /** True when somebody is signed in, after asking the server once if need be. */
  async function ensure(): Promise<boolean> {
    return signedIn.value || await refresh()
  }

  async function logout(): Promise<void> {
    loggedOut.value = true
    try {
      await api.post('/auth/logout')
    } finally {
      forget()
    }
  }

  const hasRole = (...roles: string[]): boolean => roles.some((role) => practitioner.value?.roles.includes(role))

  /** Who has to do with consults at all; the others (regulator, administrator) read the audit trail. */
  const clinical = computed(() => hasRole('village_doctor', 'township_doctor', 'expert', 'desk'))

  useCredentials({ token: () => accessToken.value, renew: refresh })
  return { practitioner, accessToken, signedIn, loggedOut, login, renewPassword, logout, refresh, ensure, hasRole, clinical, forget }
})
