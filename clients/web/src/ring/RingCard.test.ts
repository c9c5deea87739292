import { flushPromises } from '@vue/test-utils'
import axe from 'axe-core'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { setLanguage } from '@/i18n'
import { consultation, expert, ringPush as push } from '@/testing/fixtures'
import { fakeServer, mountPage } from '@/testing/mount'
import { useSession } from '@/stores/session'
import RingCard from './RingCard.vue'
import { useRings } from './rings'

const ACT = 'POST /consultations/con-1/actions'

describe('the ring', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'], now: Date.parse('2026-01-01T00:00:10Z') })
    document.body.innerHTML = ''
  })
  afterEach(async () => {
    vi.useRealTimers()
    await setLanguage('zh')
  })

  const ring = async (changes = {}) => {
    const page = await mountPage(RingCard, { ring: { ...push(changes), ended: null, aside: false } })
    useRings().add(push(changes))
    return page
  }

  it('says how urgent, what, whom, from where, why, and for how long', async () => {
    const { wrapper } = await ring()
    for (const words of ['急会诊', '心血管内科', '女', '67 岁', '石桥村卫生室', '李秀兰', '胸痛两小时']) expect(wrapper.text()).toContain(words)
    expect(wrapper.get('[data-testid=ring-seconds]').text()).toBe('10')
    expect(wrapper.text()).toContain('0:50 后转呼下一位')
    expect(wrapper.text()).not.toContain('张')
  })

  it('says it in English too', async () => {
    await setLanguage('en')
    const { wrapper } = await ring()
    for (const words of ['Urgent consult', 'Cardiology', 'female', '67 years', 'Shiqiao Village Clinic', 'Li Xiulan']) expect(wrapper.text()).toContain(words)
  })

  it('opens the room with one tap', async () => {
    const asked = fakeServer({ [ACT]: { body: consultation({ state: 'ACCEPTED' }) } })
    const { wrapper, router } = await ring()
    await wrapper.get('[data-testid=ring-accept]').trigger('click')
    await flushPromises()
    expect(asked).toEqual([{ call: ACT, body: { action: 'accept' } }])
    expect(router.currentRoute.value.path).toBe('/room/con-1')
    expect(useRings().shown).toEqual([])
  })

  it('can wait when it is routine, never when it is urgent', async () => {
    expect((await ring()).wrapper.find('[data-testid=ring-later]').exists()).toBe(false)
    const { wrapper } = await ring({ kind: 'routine', expiresAt: '2026-01-01T04:00:00Z' })
    expect(wrapper.text()).toContain('3:59:50 后转呼下一位')
    await wrapper.get('[data-testid=ring-later]').trigger('click')
    expect(useRings().shown).toEqual([])
  })

  it('can wait whenever it rings for hours, and says that it is a green channel', async () => {
    expect((await ring({ kind: 'teaching' })).wrapper.find('[data-testid=ring-later]').exists()).toBe(true)
    expect((await ring({ kind: 'guidance' })).wrapper.find('[data-testid=ring-later]').exists()).toBe(false)
    expect((await ring({ channel: 'stroke' })).wrapper.get('[data-testid=ring-channel]').text()).toContain('绿色通道 · 卒中')
  })

  it('opens the page, not the room, for a diagnostic read', async () => {
    fakeServer({ [ACT]: { body: consultation({ kind: 'diagnostic', state: 'ACCEPTED' }) } })
    const { wrapper, router } = await ring({ kind: 'diagnostic' })
    await wrapper.get('[data-testid=ring-accept]').trigger('click')
    await flushPromises()
    expect(router.currentRoute.value.path).toBe('/c/con-1')
  })

  it('declines with a reason only', async () => {
    const asked = fakeServer({ [ACT]: { body: consultation({ state: 'ESCALATED' }) } })
    const { wrapper } = await ring()
    await wrapper.get('[data-testid=ring-decline]').trigger('click')
    expect(asked).toEqual([])
    await wrapper.get('[data-reason=in_surgery]').trigger('click')
    await flushPromises()
    expect(asked).toEqual([{ call: ACT, body: { action: 'decline', reason: 'in_surgery' } }])
    expect(useRings().shown).toEqual([])
  })

  it('says who was first instead of an error', async () => {
    fakeServer({ [ACT]: { status: 409, body: { code: 'already_taken', by: expert, message: { zh: '已由他人接诊', en: 'taken' } } } })
    const { wrapper, router } = await ring()
    await wrapper.get('[data-testid=ring-accept]').trigger('click')
    await flushPromises()
    expect(useRings().shown[0]?.ended).toEqual({ reason: 'taken', by: expert })
    expect(router.currentRoute.value.path).toBe('/')
    await wrapper.setProps({ ring: useRings().shown[0] } as never)
    expect(wrapper.text()).toContain('王建国 已接诊')
    expect(wrapper.find('[data-testid=ring-accept]').exists()).toBe(false)
  })

  it('says to its own reader that another of their pages was first', async () => {
    const { wrapper } = await ring()
    useSession().practitioner = { ...expert, roles: ['expert'], specialties: [] }
    useRings().end({ offerId: 'off-1', reason: 'taken', by: expert })
    await wrapper.setProps({ ring: useRings().shown[0] } as never)
    expect(wrapper.text()).toContain('您已在另一个页面接诊')
    expect(wrapper.get('a').attributes('href')).toBe('/c/con-1')
  })

  it('keeps ringing and shows what went wrong when the line fails', async () => {
    fakeServer({ [ACT]: { status: 503, body: { code: 'unavailable', message: { zh: '服务器忙', en: 'busy' } } } })
    const { wrapper } = await ring()
    await wrapper.get('[data-testid=ring-accept]').trigger('click')
    await flushPromises()
    expect(wrapper.get('[data-testid=error]').text()).toContain('服务器忙')
    expect(wrapper.get('[data-testid=error]').attributes('data-blame')).toBe('server')
    expect(useRings().sounding).not.toBeNull()
  })

  it('has no accessibility fault that axe can find', async () => {
    const { wrapper } = await ring()
    vi.useRealTimers()
    const found = await axe.run(wrapper.element, { rules: { 'color-contrast': { enabled: false }, region: { enabled: false } } })
    expect(found.violations.map((violation) => violation.id)).toEqual([])
  })
})
