import { flushPromises, mount } from '@vue/test-utils'
import axe from 'axe-core'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { getActivePinia } from 'pinia'
import { createMemoryHistory, createRouter } from 'vue-router'
import { i18n } from '@/i18n'
import { consultation, expert } from '@/testing/fixtures'
import { fakeServer, mountPage, type Answer } from '@/testing/mount'
import { emptyForm } from './form'
import { useKeptRequest } from './kept'
import RequestPage from './RequestPage.vue'

const answers: Record<string, Answer> = {
  'GET /specialties': { body: [{ code: 'cardiology', name: { zh: '心血管内科', en: 'Cardiology' } }] },
  'GET /devices': { body: [{ id: 'dev-ecg-1', kind: 'ecg', name: '心电图机', nameEn: 'ECG', online: true }, { id: 'dev-us-1', kind: 'ultrasound', name: '超声', nameEn: 'US', online: false }] },
  'GET /patients?q=%E5%BC%A0': { body: [consultation().patient] },
  'GET /patients': { body: [] },
  'POST /consultations': { status: 201, body: consultation() },
}

describe('the request page', () => {
  beforeEach(() => { document.body.innerHTML = '' })

  it('says beside each field what is missing, sends nothing, and goes to the first of them', async () => {
    const asked = fakeServer(answers)
    const { wrapper } = await mountPage(RequestPage, {}, '/request', ['village_doctor'])
    await wrapper.get('form').trigger('submit')
    await flushPromises()
    expect(asked.some((each) => each.call === 'POST /consultations')).toBe(false)
    for (const words of ['请选择或登记病人', '请选择专科', '请写明会诊目的', '请写病情摘要', '请选择紧急程度', '没有知情同意不能发起会诊']) expect(wrapper.text()).toContain(words)
    expect(document.activeElement).toBe(wrapper.get('[data-testid=request-patient-search]').element)
  })

  it('keeps what was written while its page is away, for whoever wrote it, and asks before a reload', async () => {
    fakeServer(answers)
    const { wrapper } = await mountPage(RequestPage, {}, '/request', ['village_doctor'])
    expect(dispatchEvent(new Event('beforeunload', { cancelable: true }))).toBe(true)
    await wrapper.get('[data-testid=request-purpose]').setValue('胸痛两小时')
    expect(dispatchEvent(new Event('beforeunload', { cancelable: true }))).toBe(false)
    wrapper.unmount()
    expect(dispatchEvent(new Event('beforeunload', { cancelable: true }))).toBe(true)
    expect(useKeptRequest().take('prc-other')).toBeNull()
    useKeptRequest().keep(expert.id, { ...emptyForm(null), purpose: '胸痛两小时' }, [])
    const again = mount(RequestPage, { global: { plugins: [getActivePinia()!, i18n, createRouter({ history: createMemoryHistory(), routes: [{ path: '/:rest(.*)*', component: { template: '<p />' } }] })] } })
    expect((again.get('[data-testid=request-purpose]').element as HTMLInputElement).value).toBe('胸痛两小时')
    await again.get('[data-testid=request-start-over]').trigger('click')
    expect((again.get('[data-testid=request-purpose]').element as HTMLInputElement).value).toBe('')
    again.unmount()
  })

  it('sends a whole request and becomes its live state', async () => {
    const asked = fakeServer(answers)
    const { wrapper, router } = await mountPage(RequestPage, {}, '/request?kind=urgent', ['village_doctor'])
    await wrapper.get('[data-testid=request-patient-search]').setValue('张')
    await vi.waitFor(() => expect(wrapper.find('[data-testid=request-patient-option]').exists()).toBe(true))
    await wrapper.get('[data-testid=request-patient-option]').trigger('click')
    await wrapper.get('[data-testid=request-specialty]').setValue('cardiology')
    await wrapper.get('[data-testid=request-purpose]').setValue('胸痛两小时')
    await wrapper.get('[data-testid=request-summary]').setValue('突发胸痛')
    await wrapper.get('[data-testid=request-device-ecg]').setValue(true)
    await wrapper.get('[data-testid=request-consent]').setValue(true)
    await wrapper.get('[data-testid=request-consent-recording]').setValue(true)
    await wrapper.get('form').trigger('submit')
    await flushPromises()
    expect(asked.find((each) => each.call === 'POST /consultations')?.body).toEqual({
      kind: 'urgent', specialty: 'cardiology', patientId: 'pat-1', purpose: '胸痛两小时', summary: '突发胸痛',
      consent: { consult: true, recording: true, by: 'patient' }, deviceIds: ['dev-ecg-1'], submit: true,
    })
    expect(router.currentRoute.value.path).toBe('/c/con-1')
  })

  it('takes files along, one out and in again, and says which it cannot', async () => {
    fakeServer(answers)
    const { wrapper } = await mountPage(RequestPage, {}, '/request?kind=routine', ['village_doctor'])
    const input = wrapper.get('[data-testid=attach-add]')
    const files = [new File(['x'], 'a.png', { type: 'image/png' }), new File(['x'], 'b.exe', { type: 'application/x' })]
    Object.defineProperty(input.element, 'files', { value: files, configurable: true })
    await input.trigger('change')
    expect(wrapper.findAll('[data-testid=attach-file]').map((one) => one.text())).toEqual([expect.stringContaining('a.png')])
    expect(wrapper.text()).toContain('b.exe 的类型无法在此显示')
    await wrapper.get('[data-testid=attach-remove]').trigger('click')
    expect(wrapper.findAll('[data-testid=attach-file]')).toEqual([])
    await wrapper.get('[data-testid=attach-undo]').trigger('click')
    expect(wrapper.findAll('[data-testid=attach-file]').length).toBe(1)
    await wrapper.get('[data-testid=voice-start]').trigger('click')
    expect(wrapper.text()).toContain('此浏览器在这里不能录音') // there is no recorder here
  })

  it('keeps what was written when the server refuses', async () => {
    fakeServer({ ...answers, 'POST /consultations': { status: 429, body: { code: 'too_many', message: { zh: '请求过多', en: 'too many' } } } })
    const { wrapper } = await mountPage(RequestPage, {}, '/request?kind=routine', ['village_doctor'])
    await wrapper.get('[data-testid=request-patient-search]').setValue('张')
    await vi.waitFor(() => expect(wrapper.find('[data-testid=request-patient-option]').exists()).toBe(true))
    await wrapper.get('[data-testid=request-patient-option]').trigger('click')
    await wrapper.get('[data-testid=request-specialty]').setValue('cardiology')
    await wrapper.get('[data-testid=request-purpose]').setValue('目的')
    await wrapper.get('[data-testid=request-summary]').setValue('摘要')
    await wrapper.get('[data-testid=request-consent]').setValue(true)
    await wrapper.get('form').trigger('submit')
    await flushPromises()
    expect(wrapper.get('[data-testid=error]').attributes('data-code')).toBe('too_many')
    expect((wrapper.get('[data-testid=request-summary]').element as HTMLTextAreaElement).value).toBe('摘要')
  })

  it('says who may ask instead of a form that would be refused', async () => {
    const asked = fakeServer(answers)
    const { wrapper } = await mountPage(RequestPage, {}, '/request', ['regulator'])
    expect(wrapper.find('form').exists()).toBe(false)
    expect(wrapper.text()).toContain('您的账号不能申请会诊')
    expect(asked).toEqual([])
  })

  it('has no accessibility fault that axe can find', async () => {
    fakeServer(answers)
    const { wrapper } = await mountPage(RequestPage, {}, '/request', ['village_doctor'])
    const found = await axe.run(wrapper.element, { rules: { 'color-contrast': { enabled: false }, region: { enabled: false } } })
    expect(found.violations.map((violation) => [violation.id, violation.nodes.map((node) => node.html)])).toEqual([])
  })
})
