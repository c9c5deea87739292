import { flushPromises } from '@vue/test-utils'
import { beforeEach, expect, it, vi } from 'vitest'
import { fakeServer, mountPage } from '@/testing/mount'
import LeaveDialog from './LeaveDialog.vue'
import { addRotaTexts } from './texts'
import type { RotaCalendar } from './types'

const calendar = { schedule: { id: 'sch-1', name: '心内', nameEn: '' }, timeZone: 'Asia/Shanghai', people: ['wang', 'li'].map((id) => ({ id, name: id })) } as unknown as RotaCalendar
const gap = { level: 1, starts: '2026-12-01T00:00:00.000Z', ends: '2026-12-01T12:00:00.000Z', why: 'away', missing: ['wang'], nobody: true }
const LOOK = 'POST /schedules/sch-1/preview'

beforeEach(() => {
  document.body.innerHTML = ''
  HTMLDialogElement.prototype.showModal ??= () => undefined
  addRotaTexts()
})

it('shows the desk what a leave would do before it is entered, and a doctor when they ask', async () => {
  const asked = fakeServer({ [LOOK]: { body: { differences: [], newGaps: [gap], twice: [], unbroken: [], people: [] } } })
  const { wrapper } = await mountPage(LeaveDialog, { calendar, me: 'wang', desk: true, date: '2026-12-01' })
  await vi.waitFor(() => expect(wrapper.find('[data-testid=preview-gaps]').exists()).toBe(true))
  await wrapper.get('[data-testid=leave-person]').setValue('li')
  expect(wrapper.find('[data-testid=rota-preview]').exists()).toBe(false) // it was somebody else's
  await vi.waitFor(() => expect(asked.map(({ body }) => (body as { leave: { practitionerId: string } }).leave.practitionerId)).toEqual(['wang', 'li']))
  wrapper.unmount()
  const own = await mountPage(LeaveDialog, { calendar, me: 'wang', desk: false, date: '2026-12-01' })
  await flushPromises()
  expect(asked).toHaveLength(2)
  await own.wrapper.get('[data-testid=leave-preview]').trigger('click')
  await flushPromises()
  expect(own.wrapper.get('[data-testid=preview-gap]').text()).toContain('完全无人可呼')
})
