import { flushPromises } from '@vue/test-utils'
import axe from 'axe-core'
import { beforeEach, describe, expect, it } from 'vitest'
import { fakeServer, mountPage } from '@/testing/mount'
import OversightPage from './OversightPage.vue'

const group = { key: 'org-2', name: { zh: '石桥村卫生室', en: 'Shiqiao' }, requests: 3, accepted: 2, acceptMedianS: 12, acceptP95S: 40, inPlaceMedianS: null, inPlaceP95S: null }
const answers = {
  'GET /specialties': { body: [{ code: 'cardiology', name: { zh: '心血管内科', en: 'Cardiology' } }] },
  'GET /oversight/now': { body: { waiting: [{ number: 'HZ1', kind: 'urgent', state: 'OFFERED', specialty: 'cardiology', place: { zh: '石桥村卫生室', en: 'Shiqiao' }, since: '2026-01-01T00:00:00Z', due: '2026-01-01T00:01:00Z', late: true }], late: 1, rooms: 0 } },
  'GET /oversight/responses?by=place': { body: [group] },
  'GET /oversight/responses?by=kind': { body: [{ ...group, key: 'mdt', name: { zh: 'mdt', en: 'mdt' } }] },
}

describe('the oversight page', () => {
  beforeEach(() => { document.body.innerHTML = '' })

  it('shows what waits and how long answers took, and changes nothing', async () => {
    const asked = fakeServer(answers)
    const { wrapper } = await mountPage(OversightPage, {}, '/oversight')
    expect(wrapper.get('[data-testid=oversight-row]').text()).toContain('HZ1')
    expect(wrapper.get('[data-testid=oversight-row]').text()).toContain('已超时')
    expect(wrapper.get('[data-testid=oversight-group]').text()).toContain('石桥村卫生室')
    await wrapper.get('[data-testid=oversight-by]').setValue('kind')
    await flushPromises()
    expect(wrapper.get('[data-testid=oversight-group]').text()).toContain('多学科会诊')
    expect(asked.every((each) => each.call.startsWith('GET'))).toBe(true)
    expect((await axe.run(wrapper.element)).violations).toEqual([])
  })
})
