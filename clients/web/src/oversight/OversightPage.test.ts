import { flushPromises } from '@vue/test-utils'
import axe from 'axe-core'
import { beforeEach, describe, expect, it } from 'vitest'
import { fakeServer, mountPage } from '@/testing/mount'
import OversightPage from './OversightPage.vue'

const group = { key: 'org-2', name: { zh: '石桥村卫生室', en: 'Shiqiao' }, requests: 3, accepted: 2, acceptMedianS: 12, acceptP95S: 40, inPlaceMedianS: null, inPlaceP95S: null }
const answers = {
  'GET /specialties': { body: [{ code: 'cardiology', name: { zh: '心血管内科', en: 'Cardiology' } }] },
  'GET /oversight/now?order=worst&limit=50': {
    body: {
      counts: { unfilled: 1, late: 61, waiting: 100, running: 10 }, late: 61, rooms: 7, kinds: ['urgent'], specialties: ['cardiology'], places: [{ id: 'org-2', name: '石桥村卫生室' }], matched: 172,
      items: [{ number: 'HZ1', kind: 'urgent', state: 'OFFERED', watch: 'late', specialty: 'cardiology', place: { zh: '石桥村卫生室', en: 'Shiqiao' }, since: '2026-01-01T00:00:00Z', due: '2026-01-01T00:01:00Z', late: true }],
    },
  },
  'GET /oversight/responses?by=place': { body: [group] },
  'GET /schedules/on-call': {
    body: [
      { specialty: 'cardiology', until: null, practitioners: [{ id: 'p1', name: '王建国', nameEn: 'Wang Jianguo', title: '主任医师', titleEn: 'Chief physician' }] },
      { specialty: 'neurology', until: null, practitioners: [] },
    ],
  },
  'GET /schedules/notices': { body: [] },
  'GET /schedules': { body: [] },
  'GET /oversight/responses?by=kind': { body: [{ ...group, key: 'mdt', name: { zh: 'mdt', en: 'mdt' } }] },
}

describe('the oversight page', () => {
  beforeEach(() => { document.body.innerHTML = '' })

  it('shows what waits and how long answers took, and changes nothing', async () => {
    const asked = fakeServer(answers)
    const { wrapper } = await mountPage(OversightPage, {}, '/oversight')
    expect(wrapper.get('[data-testid=oversight-row]').text()).toContain('HZ1')
    expect(wrapper.get('[data-testid=oversight-waiting]').text()).toBe('172')
    expect(wrapper.get('[data-testid=more-rows]').text()).toContain('共 172 个，已显示 1 个')
    expect(wrapper.get('[data-testid=oversight-row]').text()).toContain('已超时')
    expect(wrapper.get('[data-testid=oversight-group]').text()).toContain('石桥村卫生室')
    const onCall = wrapper.findAll('[data-testid=on-call-entry]').map((one) => one.text())
    expect(onCall[0]).toContain('无人值班') // what is missing stands first
    expect(onCall[1]).toContain('王建国')
    await wrapper.get('[data-testid=oversight-by]').setValue('kind')
    await flushPromises()
    expect(wrapper.get('[data-testid=oversight-group]').text()).toContain('多学科会诊')
    await wrapper.get('[data-testid=oversight-days]').setValue('7')
    await flushPromises()
    expect(asked.at(-1)?.call).toContain('/oversight/responses?by=kind&from=')
    expect(asked.every((each) => each.call.startsWith('GET'))).toBe(true)
    expect((await axe.run(wrapper.element)).violations).toEqual([])
  })
})
