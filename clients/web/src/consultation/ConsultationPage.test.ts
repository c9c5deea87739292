import { flushPromises } from '@vue/test-utils'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Consultation } from '@/api/types'
import { consultation, doctor, expert } from '@/testing/fixtures'
import { fakeServer, mountPage, type Answer } from '@/testing/mount'
import ConsultationPage from './ConsultationPage.vue'

const SPECIALTIES = { 'GET /specialties': { body: [{ code: 'cardiology', name: { zh: '心血管内科', en: 'Cardiology' } }] } }
const signature = { algorithm: 'Ed25519', publicKey: 'K', value: 'V', signedAt: '2026-01-01T00:20:00Z', verified: true }
const opinion = { findings: 'ST 段抬高', conclusion: '急性下壁心肌梗死可能', advice: '立即转诊', critical: true, state: 'signed' as const, signature, addenda: [] }

async function page(changes: Partial<Consultation>, more: Record<string, Answer | (() => Answer)> = {}) {
  const asked = fakeServer({ ...SPECIALTIES, 'GET /consultations/con-1': { body: consultation(changes) }, 'GET /consultations/con-1/guest-links': { body: [] }, 'GET /consultations/con-1/materials': { body: [] }, ...more })
  return { asked, ...await mountPage(ConsultationPage, { id: 'con-1' }, '/c/con-1') }
}

const buttons = (wrapper: Awaited<ReturnType<typeof page>>['wrapper']) => wrapper.findAll('[data-testid^=action-], [data-testid=enter-room], [data-testid=end-consult], [data-testid=opinion-sign], [data-testid=decision-submit], [data-testid=guest-link-create]')
  .map((button) => button.attributes('data-testid'))

describe('the consultation page', () => {
  beforeEach(() => { document.body.innerHTML = '' })

  it('shows the state, who is rung, and what comes next', async () => {
    const { wrapper } = await page({
      allowed: ['cancel'], next: { name: { zh: '呼叫下一位专家', en: 'next' }, at: '2099-01-01T00:00:00Z', limitName: { zh: '本轮呼叫时限', en: 'ring' }, limit: '2099-01-01T00:00:00Z', action: 'ring_timeout' },
      offers: [{ id: 'o1', ring: 1, practitioner: expert, state: 'declined', offeredAt: '2026-01-01T00:00:02Z', expiresAt: null, answeredAt: '2026-01-01T00:00:20Z', reason: 'in_surgery' }],
    })
    expect(wrapper.get('[data-testid=state]').attributes('data-state')).toBe('OFFERED')
    for (const words of ['正在呼叫专家', '呼叫下一位专家', '王建国', '正在手术或抢救', '0:18']) expect(wrapper.text()).toContain(words)
  })

  it('says which limit was passed and what the next reminder does', async () => {
    const next = { name: { zh: '再次提醒专家和值班台', en: 'again' }, at: new Date(Date.now() + 150_500).toISOString(), limitName: { zh: '意见时限', en: 'opinion' }, limit: new Date(Date.now() - 60_000).toISOString(), action: 'overdue' }
    const { wrapper } = await page({ state: 'OPINION_PENDING', expert, next })
    expect(wrapper.get('[data-testid=next]').text()).toMatch(/已超时 1:0\d.*意见时限.*接下来：再次提醒专家和值班台，2:[23]\d 后/)
  })

  it('has the buttons that the server allows, and no others', async () => {
    expect(buttons((await page({ allowed: ['cancel'] })).wrapper)).toEqual(['action-cancel'])
    document.body.innerHTML = ''
    expect(buttons((await page({ state: 'ACCEPTED', expert, allowed: ['cancel', 'join', 'invite_guest'] })).wrapper)).toEqual(['enter-room', 'action-cancel', 'guest-link-create'])
    document.body.innerHTML = ''
    expect(buttons((await page({ state: 'ARCHIVED', allowed: [] })).wrapper)).toEqual([])
  })

  it('says why nobody was found, in the reader\'s language, and whereto a patient was referred', async () => {
    const step = (action: string, to: string, reason: string) => ({ at: '2026-01-01T00:00:02Z', actor: null, action, from: 'TRIAGED', to, reason })
    const nobody = await page({ state: 'UNFILLED', events: [step('unfilled', 'UNFILLED', '目前无人值班 / Nobody is on call now')] })
    expect(nobody.wrapper.get('[data-testid=state-reason]').text()).toBe('原因 目前无人值班')
    document.body.innerHTML = ''
    const referred = await page({ state: 'REFERRED', events: [step('refer', 'REFERRED', '转县医院 / 产科')] })
    expect(referred.wrapper.get('[data-testid=state-reason]').text()).toBe('原因 转县医院 / 产科')
  })

  it('cancels with a reason only', async () => {
    const { wrapper, asked } = await page({ allowed: ['cancel'] }, { 'POST /consultations/con-1/actions': { body: consultation({ state: 'CANCELLED', version: 4 }) } })
    await wrapper.get('[data-testid=action-cancel]').trigger('click')
    await wrapper.get('dialog form').trigger('submit')
    expect(asked.some((each) => each.call.startsWith('POST'))).toBe(false)
    await wrapper.get('[data-testid=reason]').setValue('病人已好转')
    await wrapper.get('dialog form').trigger('submit')
    await flushPromises()
    expect(asked.find((each) => each.call.startsWith('POST'))?.body).toEqual({ action: 'cancel', reason: '病人已好转' })
    expect(wrapper.get('[data-testid=state]').attributes('data-state')).toBe('CANCELLED')
  })

  it('keeps the draft, then signs it, in this order', async () => {
    let signed = false
    const pending = { state: 'OPINION_PENDING', expert, allowed: ['write_opinion'] }
    const { wrapper, asked } = await page(pending, {
      'GET /consultations/con-1': () => ({ body: consultation(signed ? { ...pending, state: 'SIGNED', version: 9, opinion, allowed: ['amend'] } : pending) }),
      'PUT /consultations/con-1/opinion': { body: {} },
      'POST /consultations/con-1/opinion/sign': () => {
        signed = true
        return { body: {} }
      },
    })
    await wrapper.get('[data-testid=opinion-findings]').setValue('ST 段抬高')
    await wrapper.get('[data-testid=opinion-conclusion]').setValue('急性下壁心肌梗死可能')
    await wrapper.get('[data-testid=opinion-password]').setValue('secret')
    await wrapper.get('[data-testid=opinion-form]').trigger('submit')
    await flushPromises()
    const writes = asked.filter((each) => !each.call.startsWith('GET'))
    expect(writes).toEqual([
      { call: 'PUT /consultations/con-1/opinion', body: { findings: 'ST 段抬高', conclusion: '急性下壁心肌梗死可能', advice: '', followUp: '', critical: false } },
      { call: 'POST /consultations/con-1/opinion/sign', body: { password: 'secret' } },
    ])
    expect(wrapper.get('[data-testid=opinion-signature]').attributes('data-verified')).toBe('true')
  })

  it('signs nothing without a conclusion or a password', async () => {
    const { wrapper, asked } = await page({ state: 'OPINION_PENDING', expert, allowed: ['write_opinion'] })
    await wrapper.get('[data-testid=opinion-findings]').setValue('x')
    await wrapper.get('[data-testid=opinion-password]').setValue('secret')
    await wrapper.get('[data-testid=opinion-form]').trigger('submit')
    expect(asked.filter((each) => each.call.startsWith('POST'))).toEqual([])
    expect(wrapper.text()).toContain('签名前必须填写')
  })

  it('warns of a signature that does not hold', async () => {
    const { wrapper } = await page({ state: 'RETURNED', expert, opinion: { ...opinion, signature: { ...signature, verified: false } } })
    expect(wrapper.get('[data-testid=opinion-signature]').attributes('data-verified')).toBe('false')
    expect(wrapper.text()).toContain('请勿采用')
  })

  it('lets the requester read the opinion and record the decision', async () => {
    const { wrapper, asked } = await page({ state: 'RETURNED', expert, opinion, allowed: ['acknowledge'] }, {
      'POST /consultations/con-1/actions': { body: consultation({ state: 'ACKNOWLEDGED', version: 5, opinion, decision: { text: '同意转诊', by: doctor, at: '2026-01-01T00:30:00Z' } }) },
    })
    expect(wrapper.get('[data-testid=opinion-text]').text()).toContain('急性下壁心肌梗死可能')
    await wrapper.get('[data-testid=decision-text]').setValue('同意转诊')
    await wrapper.get('[data-testid=decision-partly]').setValue(true)
    await wrapper.get('[data-testid=decision-submit]').trigger('submit')
    await flushPromises()
    expect(asked.find((each) => each.call.startsWith('POST'))?.body).toEqual({ action: 'acknowledge', data: { decision: '同意转诊', outcome: 'partly' } })
    expect(wrapper.get('[data-testid=decision]').text()).toContain('同意转诊')
  })

  it('shows the seats of a multidisciplinary consult and takes a member\'s contribution', async () => {
    const seats = [{ specialty: 'cardiology', state: 'taken' as const, practitioner: expert, contribution: '', contributedAt: null }, { specialty: 'neurology', state: 'empty' as const, practitioner: null, contribution: '', contributedAt: null }]
    const { wrapper, asked } = await page({ kind: 'mdt', state: 'ACCEPTED', expert, seats, allowed: ['contribute', 'invite_again'] }, {
      'POST /consultations/con-1/actions': { body: consultation({ version: 9, kind: 'mdt', state: 'ACCEPTED', seats: [{ ...seats[0]!, contribution: '无局灶体征' }] }) },
    })
    expect(wrapper.findAll('[data-testid=seat]').map((seat) => seat.attributes('data-state'))).toEqual(['taken', 'empty'])
    expect(buttons(wrapper)).toEqual(['action-invite_again'])
    await wrapper.get('[data-testid=contribution-text]').setValue('无局灶体征')
    await wrapper.get('[data-testid=contribution-submit]').trigger('submit')
    await flushPromises()
    expect(asked.find((each) => each.call.startsWith('POST'))?.body).toEqual({ action: 'contribute', data: { text: '无局灶体征' } })
    expect(wrapper.get('[data-testid=seat-contribution]').text()).toBe('无局灶体征')
  })

  it('clocks the green channel and notes a stage', async () => {
    const stages = ['onset', 'door', 'first_call'].map((stage) => ({ stage, at: stage === 'first_call' ? '2026-01-01T00:00:00Z' : null, by: null }))
    const { wrapper, asked } = await page({ channel: 'stroke', stages, allowed: ['note_stage'] }, { 'POST /consultations/con-1/actions': { body: consultation({ version: 9, channel: 'stroke', stages, allowed: ['note_stage'] }) } })
    expect(wrapper.text()).toContain('绿色通道')
    expect(wrapper.find('[data-testid=stage-note-first_call]').exists()).toBe(false)
    await wrapper.get('[data-testid=stage-note-door]').trigger('click')
    await flushPromises()
    expect(asked.find((each) => each.call.startsWith('POST'))?.body).toEqual({ action: 'note_stage', data: { stage: 'door' } })
    await wrapper.get('[data-testid=stage-write-onset]').trigger('click')
    await wrapper.get('[data-testid=stage-at]').setValue('2999-01-01T00:00')
    expect(wrapper.text()).toContain('时间不能晚于现在')
    await wrapper.get('[data-testid=stage-at]').setValue('2025-12-31T22:30')
    await wrapper.get('[data-testid=stage-keep]').trigger('submit')
    await flushPromises()
    expect(asked.at(-1)?.body).toEqual({ action: 'note_stage', data: { stage: 'onset', at: '2025-12-31T14:30:00.000Z' } })
  })

  it('takes note of a critical value, and of a rating', async () => {
    const { wrapper, asked } = await page({ state: 'RETURNED', expert, opinion, allowed: ['acknowledge_critical', 'rate'] }, { 'POST /consultations/con-1/actions': { body: consultation({ state: 'RETURNED', version: 9, opinion }) } })
    await wrapper.get('[data-testid=rating-submit]').trigger('submit')
    expect(wrapper.text()).toContain('请选择星级')
    await wrapper.get('[data-testid=critical-acknowledge]').trigger('click')
    await flushPromises()
    expect(asked.find((each) => each.call.startsWith('POST'))?.body).toEqual({ action: 'acknowledge_critical' })
  })

  it('carries the thread of a picture-and-text consult and marks it as read', async () => {
    const message = { id: 'm1', text: '请看皮疹', at: '2026-01-01T00:01:00Z', by: doctor, readAt: null }
    const { wrapper, asked } = await page({ kind: 'picture_text', state: 'ACCEPTED', expert, allowed: ['post', 'attach'] }, {
      'GET /consultations/con-1/messages': { body: [message] }, 'POST /consultations/con-1/messages/read': { body: null },
      'POST /consultations/con-1/messages': { status: 201, body: [message, { ...message, id: 'm2', text: '有无发热', by: expert }] },
    })
    expect(wrapper.get('[data-testid=message]').text()).toContain('请看皮疹')
    expect(asked.some((each) => each.call === 'POST /consultations/con-1/messages/read')).toBe(true)
    await wrapper.get('[data-testid=message-text]').setValue('有无发热')
    await wrapper.get('[data-testid=message-send]').trigger('submit')
    await flushPromises()
    expect(wrapper.findAll('[data-testid=message]').length).toBe(2)
  })

  it('offers a stranger the glass to break, with a reason', async () => {
    let open = false
    const { wrapper, asked } = await page({}, {
      'GET /consultations/con-1': () => (open ? { body: consultation({ allowed: [] }) } : { status: 403, body: { code: 'forbidden', message: { zh: '没有权限', en: 'no' } } }),
      'POST /consultations/con-1/break-glass': () => { open = true; return { status: 201, body: {} } },
    })
    await wrapper.get('[data-testid=break-glass]').trigger('submit')
    expect(wrapper.text()).toContain('至少 8 个字')
    await wrapper.get('[data-testid=break-glass-reason]').setValue('急诊抢救需了解既往会诊')
    await wrapper.get('[data-testid=break-glass]').trigger('submit')
    await flushPromises()
    expect(asked.find((each) => each.call.startsWith('POST'))?.body).toEqual({ reason: '急诊抢救需了解既往会诊', minutes: 30 })
    expect(wrapper.find('[data-testid=state]').exists()).toBe(true)
  })

  it('says what went wrong and tries again on demand', async () => {
    let down = true
    const { wrapper } = await page({}, { 'GET /consultations/con-1': () => (down ? { status: 500, body: {} } : { body: consultation() }) })
    expect(wrapper.get('[data-testid=error]').attributes('data-blame')).toBe('server')
    down = false
    await wrapper.get('[data-testid=error] button').trigger('click')
    await flushPromises()
    expect(wrapper.find('[data-testid=error]').exists()).toBe(false)
    expect(wrapper.find('[data-testid=state]').exists()).toBe(true)
  })
})
