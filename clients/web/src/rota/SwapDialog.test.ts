import { flushPromises } from '@vue/test-utils'
import { beforeEach, expect, it } from 'vitest'
import { fakeServer, mountPage } from '@/testing/mount'
import { barsOf } from './calendar'
import SwapDialog from './SwapDialog.vue'
import { addRotaTexts } from './texts'
import type { RotaCalendar, Stretch } from './types'

const DAY_MS = 86_400_000
const begin = Math.ceil(Date.now() / DAY_MS) * DAY_MS
const key = (from: number, to: number) => `1 ${at(from)} ${at(to)}`
const at = (days: number) => new Date(begin + days * DAY_MS).toISOString()
const shift = (level: number, day: number, who: string, days = 1): Stretch => ({ level, starts: at(day), ends: at(day + days), people: [who], missing: [] })
const stretches = [shift(1, 1, 'me'), shift(2, 1, 'li'), shift(1, 2, 'wang'), shift(1, 3, 'me', 2), shift(1, 5, 'li')]
const calendar = { schedule: { id: 'sch-1', name: '心内', nameEn: '' }, timeZone: 'Asia/Shanghai', people: ['me', 'wang', 'li'].map((id) => ({ id, name: id })), stretches } as unknown as RotaCalendar

beforeEach(() => {
  document.body.innerHTML = ''
  HTMLDialogElement.prototype.showModal ??= () => undefined
})

async function dialog(props: object) {
  addRotaTexts()
  const server = {} as Record<string, { body: unknown }>
  const asked = fakeServer(new Proxy(server, { get: (known, call: string) => known[call] ?? { body: call.startsWith('GET') ? { stretches } : {} } }))
  const { wrapper } = await mountPage(SwapDialog, { calendar, me: 'me', handover: '08:00', ...props })
  await flushPromises()
  const value = (id: string) => (wrapper.get(`[data-testid=${id}]`).element as HTMLSelectElement).value
  return { wrapper, asked, value }
}

it('opens with the day that was pointed at, and with the person it was drawn onto; the whole shift stands there, too', async () => {
  const [given] = barsOf({ date: '', starts: begin + 4 * DAY_MS, ends: begin + 5 * DAY_MS }, [shift(1, 3, 'me', 2)])
  const { wrapper, value } = await dialog({ given, other: 'li' })
  expect([value('swap-given'), value('swap-other'), value('swap-back')]).toEqual([key(4, 5), 'li', ''])
  expect(wrapper.get('[data-testid=swap-given]').findAll('option').map((option) => option.attributes('value'))).toEqual([key(1, 2), key(3, 5), key(3, 4), key(4, 5)])
})

it('asks for the shift that was pointed at, and forgets it when somebody else is chosen', async () => {
  const [back] = barsOf({ date: '', starts: begin + 2 * DAY_MS, ends: begin + 3 * DAY_MS }, stretches)
  const { wrapper, asked, value } = await dialog({ other: 'wang', back })
  expect([value('swap-given'), value('swap-back')]).toEqual([key(1, 2), key(2, 3)])
  expect(wrapper.find('[data-testid=swap-doubled]').exists()).toBe(false)
  await wrapper.get('[data-testid=swap-other]').setValue('li')
  expect(value('swap-back')).toBe('')
  expect(wrapper.get('[data-testid=swap-doubled]').text()).toContain('li 这段时间已在另一线值班')
  await wrapper.get('form').trigger('submit')
  await flushPromises()
  expect(asked.at(-1)).toEqual({ call: 'POST /schedules/swaps', body: { scheduleId: 'sch-1', otherId: 'li', given: { level: 1, starts: at(1), ends: at(2) }, back: null, reason: '' } })
})

it('says that there is nothing to give away', async () => {
  const { wrapper } = await dialog({ me: 'nobody' })
  expect(wrapper.text()).toContain('没有可以换出的班')
})
