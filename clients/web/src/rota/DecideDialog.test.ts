import { flushPromises } from '@vue/test-utils'
import { beforeEach, expect, it } from 'vitest'
import { useSession } from '@/stores/session'
import { expert } from '@/testing/fixtures'
import { fakeServer, mountPage, type Answer } from '@/testing/mount'
import AskList from './AskList.vue'
import { addRotaTexts } from './texts'
import type { Ask, AskPreview, Gap } from './types'

const at = (hour: number) => `2026-12-01T0${hour}:00:00.000Z`
const person = (id: string, name: string) => ({ ...expert, id, name, roles: ['expert'], specialties: [] })
const gap = (starts: string, ends: string): Gap => ({ level: 1, starts, ends, why: 'away', missing: ['wang'], nobody: true })
const ask = (more: Partial<Ask> = {}): Ask => ({
  id: 'swp-1', ask: 'swap', stage: 'agreed', version: 2, scheduleId: 'sch-1', asker: person('wang', '王建国'), other: person('li', '李红'), level: 1,
  starts: at(0), ends: at(4), back: null, reason: '家长会', refusal: null, allowed: ['approve', 'refuse'], ...more,
} as Ask)
const preview = (newGaps: Gap[] = []): AskPreview => ({
  schedule: { id: 'sch-1', name: '心内', nameEn: 'Cardiology' }, timeZone: 'Asia/Shanghai', people: [person('wang', '王建国'), person('li', '李红')], newGaps,
  differences: [{ level: 1, starts: at(0), ends: at(4), before: ['wang'], after: ['li'] }],
  twice: [{ person: 'li', starts: at(0), ends: at(4) }], unbroken: [{ person: 'li', level: 1, starts: '2026-11-30T00:00:00.000Z', ends: '2026-12-02T00:00:00.000Z' }],
} as AskPreview)

beforeEach(() => {
  document.body.innerHTML = ''
  HTMLDialogElement.prototype.showModal ??= () => undefined
  addRotaTexts()
})

async function list(asks: Ask[], answers: Record<string, Answer | (() => Answer)>, me = 'desk') {
  const asked = fakeServer(answers)
  const { wrapper } = await mountPage(AskList, { asks, zone: 'Asia/Shanghai' })
  useSession().practitioner = person(me, me)
  const open = async (step: string) => {
    await wrapper.get(`[data-testid=ask-${step}]`).trigger('click')
    await import('./DecideDialog.vue')
    await flushPromises()
  }
  const send = async () => {
    await wrapper.get('[data-testid=decide]').trigger('submit')
    await flushPromises()
  }
  return { wrapper, asked, open, send }
}

const LOOK = 'GET /schedules/asks/swp-1/preview'
const ACT = 'POST /schedules/asks/swp-1/actions'

it('shows what a swap would do before it is approved, and sends the gaps that were shown', async () => {
  const { wrapper, asked, open, send } = await list([ask()], { [LOOK]: { body: [preview([gap(at(1), at(2))])] }, [ACT]: { body: {} } })
  await open('approve')
  const shown = wrapper.get('[data-testid=rota-preview]').text()
  for (const words of ['心内', '会出现 1 处无人值班', '完全无人可呼', '王建国 → 李红', '李红 会同时担两线', '李红 会在1线连续值班 48 小时']) expect(shown).toContain(words)
  expect(asked.map(({ call }) => call)).toEqual([LOOK])
  await send()
  expect(asked[1]).toEqual({ call: ACT, body: { action: 'approve', version: 2, seenGaps: [{ scheduleId: 'sch-1', level: 1, starts: at(1), ends: at(2) }] } })
  expect(wrapper.emitted('changed')).toHaveLength(1)
  expect(wrapper.find('[data-testid=decide]').exists()).toBe(false)
})

it('shows the rota as it is now when it changed meanwhile, and asks again', async () => {
  let looks = 0
  const refusal = { code: 'gap_not_seen', message: { zh: '请看过影响再决定。', en: '' } }
  const { wrapper, asked, open, send } = await list([ask()], {
    [LOOK]: () => ({ body: [preview(looks++ ? [gap(at(2), at(3))] : [])] }),
    [ACT]: () => (asked.length < 3 ? { status: 409, body: refusal } : { body: {} }),
  })
  await open('approve')
  expect(wrapper.find('[data-testid=preview-gaps]').exists()).toBe(false)
  await send()
  expect(wrapper.get('[data-testid=error]').attributes('data-code')).toBe('gap_not_seen')
  expect(wrapper.findAll('[data-testid=preview-gap]')).toHaveLength(1)
  await send()
  expect(asked.at(-1)?.body).toMatchObject({ seenGaps: [{ starts: at(2), ends: at(3) }] })
  expect(wrapper.find('[data-testid=decide]').exists()).toBe(false)
})

it('says what stands in the way of an approval, and refuses all the same', async () => {
  const { wrapper, open } = await list([ask()], { [LOOK]: { status: 409, body: { code: 'not_your_shift', message: { zh: '该班次不属于此人。', en: '' } } } })
  await open('approve')
  expect(wrapper.get('[data-testid=error]').text()).toContain('该班次不属于此人')
  expect(wrapper.get<HTMLButtonElement>('[data-testid=decide-confirm]').element.disabled).toBe(true)
  await open('refuse')
  expect(wrapper.get<HTMLButtonElement>('[data-testid=decide-confirm]').element.disabled).toBe(false)
})

it('asks the desk why it refuses, in words when it is for another reason', async () => {
  const { wrapper, asked, open, send } = await list([ask()], { [LOOK]: { body: [preview()] }, [ACT]: { body: {} } })
  await open('refuse')
  await send()
  expect(wrapper.text()).toContain('请选择拒绝的原因')
  await wrapper.get('[data-testid=refuse-why]').setValue('other')
  await send()
  expect(wrapper.text()).toContain('请写明原因')
  expect(asked).toHaveLength(1)
  await wrapper.get('[data-testid=refuse-words]').setValue(' 下周再换 ')
  await send()
  expect(asked[1]?.body).toEqual({ action: 'refuse', version: 2, why: 'other', reason: '下周再换' })
})

it('lets the other doctor say no without a reason, and shows to both who refused and why', async () => {
  const refused = ask({ id: 'swp-2', stage: 'refused', allowed: [], refusal: { by: person('desk', '刘芳'), why: 'two_lines', words: '没有后备' } } as Partial<Ask>)
  const { wrapper, asked, open, send } = await list([ask({ stage: 'proposed', allowed: ['agree', 'refuse'] }), refused], { [LOOK]: { body: [] }, [ACT]: { body: {} } }, 'li')
  expect(wrapper.get('[data-testid=ask-refusal]').text()).toBe('刘芳 拒绝：会有人一人担两线：没有后备')
  await open('refuse')
  await send()
  expect(asked[1]?.body).toEqual({ action: 'refuse', version: 2, why: null, reason: '' })
})
