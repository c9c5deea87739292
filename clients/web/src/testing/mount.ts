import { flushPromises, mount as mountComponent } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import type { Component } from 'vue'
import { createMemoryHistory, createRouter } from 'vue-router'
import { i18n } from '@/i18n'
import { useSession } from '@/stores/session'
import { expert } from './fixtures'

const Nothing = { template: '<p />' }

/** A component as the application mounts it: texts, stores, and a router that knows every address. `roles`: of who is signed in. */
export async function mountPage(component: Component, props: Record<string, unknown> = {}, path = '/', roles: string[] = []) {
  const pinia = createPinia()
  setActivePinia(pinia)
  if (roles.length) useSession().practitioner = { ...expert, roles, specialties: [] }
  const router = createRouter({ history: createMemoryHistory(), routes: [{ path: '/:rest(.*)*', component: Nothing }] })
  await router.push(path)
  const wrapper = mountComponent(component as never, { props: props as never, global: { plugins: [pinia, i18n, router] }, attachTo: document.body })
  await flushPromises()
  return { wrapper, router }
}

export interface Answer { status?: number; body: unknown }

/** Answers `fetch` from a table of `METHOD path`; what is not in it fails the test. Keeps what was asked. */
export function fakeServer(answers: Record<string, Answer | (() => Answer)>) {
  const asked: { call: string; body: unknown }[] = []
  globalThis.fetch = ((url: string, init: RequestInit) => {
    const call = `${init.method} ${String(url).replace('/api/v1', '')}`
    asked.push({ call, body: init.body ? JSON.parse(init.body as string) : undefined })
    const found = answers[call]
    if (!found) throw new Error(`nobody answers ${call}`)
    const answer = typeof found === 'function' ? found() : found
    const status = answer.status ?? 200
    return Promise.resolve(new Response(status === 204 ? null : JSON.stringify(answer.body), { status }))
  }) as typeof fetch
  return asked
}
