import { flushPromises } from '@vue/test-utils'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { fakeServer, mountPage } from '@/testing/mount'
import OverrideDialog from './OverrideDialog.vue'
import { addRotaTexts } from './texts'
import type { RotaCalendar } from './types'

const calendar = { schedule: { id: 'sch-1', name: '心内', nameEn: '' }, timeZone: 'Asia/Shanghai', version: 1, levels: [1], people: [{ id: 'wang', name: '王建国' }] } as unknown as RotaCalendar
const draft = { level: 1, change: 'replace' as const, starts: '2026-01-01T00:00:00Z', ends: '2026-01-01T02:00:00Z', who: null, by: 'wang' }

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  document.body.innerHTML = ''
  HTMLDialogElement.prototype.showModal ??= () => undefined
})
afterEach(() => { vi.useRealTimers() })

it('says beside the field that a change would end before it begins, and neither asks nor saves', async () => {
  addRotaTexts()
  const asked = fakeServer({ 'POST /schedules/sch-1/preview': { body: { differences: [], newGaps: [], people: [], twice: [], unbroken: [] } } })
  const { wrapper } = await mountPage(OverrideDialog, { calendar, draft })
  const look = async () => {
    vi.runAllTimers()
    await flushPromises()
    return [asked.length, wrapper.get('[data-testid=override-save]').attributes('disabled') !== undefined, wrapper.text().includes('结束要晚于开始')]
  }
  expect(await look()).toEqual([1, false, false])
  await wrapper.get('[data-testid=override-ends]').setValue('2026-01-01T07:59')
  expect(await look()).toEqual([1, true, true])
  expect(wrapper.get('[data-testid=override-ends]').attributes('aria-invalid')).toBe('true')
  await wrapper.get('[data-testid=override-ends]').setValue('2026-01-01T12:00')
  expect(await look()).toEqual([2, false, false])
})
