import { flushPromises } from '@vue/test-utils'
import { beforeEach, expect, it, vi } from 'vitest'
import { RingSound } from '@/ring/sound'
import { consultation } from '@/testing/fixtures'
import { fakeServer, mountPage } from '@/testing/mount'
import DeskPage from './DeskPage.vue'
import type { Watch } from './filters'

/** A county with 120 open consults, of which the server tells as many as are asked for. */
const counts = { unfilled: 2, late: 3, waiting: 15, running: 100 }
const all = Object.entries(counts).flatMap(([watch, count]) => Array.from({ length: count }, (_, nth) => ({ watch: watch as Watch, consultation: consultation({ id: `${watch}-${nth}` }) })))
const answer = (items: typeof all) => ({ body: { counts, late: 5, rooms: 0, kinds: ['urgent'], specialties: ['cardiology'], places: [{ id: 'org-2', name: '石桥村卫生室' }], matched: items.length, items } })
const shown = (limit: number) => ({ body: { ...answer(all).body, items: all.slice(0, limit) } })
const answers = {
  'GET /oversight/desk?order=worst&limit=50': shown(50), 'GET /oversight/desk?order=worst&limit=100': shown(100), 'GET /oversight/desk?order=worst&limit=150': shown(150),
  'GET /oversight/desk?late=true&order=worst&limit=50': answer(all.slice(2, 5)), 'GET /oversight/desk?place=org-2&order=worst&limit=50': answer([]),
  'GET /specialties': { body: [] }, 'GET /schedules/notices': { body: [] }, 'GET /schedules': { body: [] }, 'GET /schedules/on-call': { body: [] }, 'GET /break-glass': { body: [] },
}

beforeEach(() => {
  document.body.innerHTML = ''
  vi.spyOn(RingSound.prototype, 'start').mockImplementation(() => undefined)
})

it('counts all that is open, shows it step by step, and says what is not shown', async () => {
  fakeServer(answers)
  const { wrapper } = await mountPage(DeskPage, {}, '/desk', ['desk'])
  await flushPromises()
  const rows = () => wrapper.findAll('[data-testid=consultation-row]').length
  expect(wrapper.get('[data-testid=count-running] dd').text()).toBe('100')
  expect([rows(), wrapper.get('[data-testid=more-rows]').text()]).toEqual([50, expect.stringContaining('共 120 个，已显示 50 个')])
  for (const wanted of [100, 120]) {
    await wrapper.get('[data-testid=more]').trigger('click')
    await flushPromises()
    expect(rows()).toBe(wanted)
  }
  expect(wrapper.find('[data-testid=more-rows]').exists()).toBe(false)
})

it('lets the server filter, and no filter hides an alarm', async () => {
  fakeServer(answers)
  const { wrapper } = await mountPage(DeskPage, {}, '/desk', ['desk'])
  await flushPromises()
  await wrapper.get('[data-testid=filter-late]').setValue(true)
  await flushPromises()
  expect(wrapper.findAll('[data-testid=consultation-row]')).toHaveLength(3)
  expect(wrapper.get('[data-testid=desk-alarm]').text()).toContain('2 个会诊无人应答')
  await wrapper.get('[data-testid=filter-late]').setValue(false)
  await wrapper.get('[data-testid=filter-place]').setValue('org-2')
  await flushPromises()
  expect([wrapper.text().includes('没有符合筛选的会诊'), wrapper.get('[data-testid=count-waiting] dd').text()]).toEqual([true, '15'])
})
