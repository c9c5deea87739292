import { flushPromises } from '@vue/test-utils'
import { beforeEach, expect, it } from 'vitest'
import { consultation, expert } from '@/testing/fixtures'
import { fakeServer, mountPage } from '@/testing/mount'
import PlanDialog from './PlanDialog.vue'

const AT = new Date(Date.now() + 86_400_000).toISOString()
const planned = (id: string) => ({ consultationId: id, expertId: expert.id, at: AT })

beforeEach(() => {
  document.body.innerHTML = ''
  HTMLDialogElement.prototype.showModal ??= () => undefined
})

it('makes each proposal real, and keeps the reason of one that cannot be', async () => {
  const asked = fakeServer({
    'GET /planning': { body: { planned: [planned('con-1'), planned('con-2')] } },
    'GET /consultations/con-1': { body: consultation({ id: 'con-1', number: 'HZ1', expert }) }, 'GET /consultations/con-2': { body: consultation({ id: 'con-2', number: 'HZ2', expert }) },
    'POST /consultations/con-1/actions': { body: consultation({ id: 'con-1', number: 'HZ1', state: 'SCHEDULED', version: 4 }) },
    'POST /consultations/con-2/actions': { status: 409, body: { code: 'wrong_state', message: { zh: '当前状态不允许', en: 'no' } } },
  })
  const { wrapper } = await mountPage(PlanDialog)
  await flushPromises()
  const lines = () => wrapper.findAll('[data-testid=plan-line]')
  expect(lines().map((line) => line.text())).toEqual([expect.stringContaining('HZ1'), expect.stringContaining('HZ2')])
  await wrapper.get('form').trigger('submit')
  await flushPromises()
  expect(lines().map((line) => line.attributes('data-state'))).toEqual(['done', 'failed'])
  expect(wrapper.get('[data-testid=error]').attributes('data-code')).toBe('wrong_state')
  expect(new Date((asked.find(({ call }) => call.startsWith('POST'))?.body as { data: { at: string } }).data.at).getTime()).toBe(Math.floor(Date.parse(AT) / 60_000) * 60_000)
  expect([wrapper.emitted('saved')?.length, wrapper.emitted('close')]).toEqual([1, undefined])
})

it('says that nothing waits for a time', async () => {
  fakeServer({ 'GET /planning': { body: { planned: [] } } })
  const { wrapper } = await mountPage(PlanDialog)
  await flushPromises()
  expect(wrapper.text()).toContain('没有等待安排时间的会诊')
})
