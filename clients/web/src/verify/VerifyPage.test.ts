import { flushPromises } from '@vue/test-utils'
import axe from 'axe-core'
import { beforeEach, describe, expect, it } from 'vitest'
import { fakeServer, mountPage } from '@/testing/mount'
import VerifyPage from './VerifyPage.vue'

const checked = {
  code: 'ABCD-EFGH-JKMN', number: 'HZ1', stands: true, signedAt: '2026-01-01T00:20:00Z', signer: { zh: '王建国', en: 'Wang' }, organization: { zh: '县医院', en: 'County' },
  specialty: { zh: '心血管内科', en: 'Cardiology' }, addenda: 0, keyFingerprint: 'aaaa bbbb', patientMatches: false,
}

describe('the page that checks a report', () => {
  beforeEach(() => { document.body.innerHTML = '' })

  it('checks the code of the address, and compares the name when asked', async () => {
    const asked = fakeServer({ 'POST /verify/ABCD-EFGH-JKMN': { body: checked } })
    const { wrapper } = await mountPage(VerifyPage, { code: 'ABCD-EFGH-JKMN' }, '/verify/ABCD-EFGH-JKMN')
    expect(wrapper.get('[data-testid=verify-result]').attributes('data-stands')).toBe('true')
    await wrapper.get('[data-testid=verify-name]').setValue('张三')
    await wrapper.get('form').trigger('submit')
    await flushPromises()
    expect(asked.at(-1)?.body).toEqual({ patientName: '张三' })
    expect(wrapper.text()).toContain('患者姓名不一致')
    expect((await axe.run(wrapper.element)).violations).toEqual([])
  })

  it('says that a code is unknown, and that one is missing', async () => {
    const asked = fakeServer({ 'POST /verify/NOPE': { status: 404, body: { code: 'not_found' } } })
    const { wrapper } = await mountPage(VerifyPage, {}, '/verify')
    await wrapper.get('form').trigger('submit')
    expect([asked.length, wrapper.text().includes('请输入查验码')]).toEqual([0, true])
    await wrapper.get('[data-testid=verify-code]').setValue('NOPE')
    await wrapper.get('form').trigger('submit')
    await flushPromises()
    expect(wrapper.find('[data-testid=verify-unknown]').exists()).toBe(true)
  })
})
