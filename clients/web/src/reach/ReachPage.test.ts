import { flushPromises, type VueWrapper } from '@vue/test-utils'
import { expect, it } from 'vitest'
import { fakeServer, mountPage } from '@/testing/mount'
import ReachPage from './ReachPage.vue'

const presence = { atScreen: true, push: 1, phone: false, canBeRung: true, checkedAt: null }
const mine = { 'GET /reach/me': { body: { presence, browsers: [], notices: { handover: true, ask: true, gap: true } } } }
const boxes = (page: VueWrapper) => page.findAll<HTMLInputElement>('[data-testid^=reach-notice-]').map(({ element }) => [element.dataset.testid?.slice(13), element.checked])

it.each([
  [['expert'], ['handover', 'ask']],
  [['desk'], ['ask', 'gap']],
  [['village_doctor'], []],
])('offers a %o the notices that may come: %o', async (roles, kinds) => {
  fakeServer(mine)
  const { wrapper } = await mountPage(ReachPage, {}, '/reach', roles)
  await flushPromises()
  expect(boxes(wrapper)).toEqual(kinds.map((kind) => [kind, true]))
})

it('keeps a choice, and shows what stands where it could not be kept', async () => {
  const chosen = { handover: false, ask: true, gap: true }
  const asked = fakeServer({ ...mine, 'PUT /reach/notices': { body: chosen } })
  const { wrapper } = await mountPage(ReachPage, {}, '/reach', ['expert'])
  await flushPromises()
  await wrapper.get('[data-testid=reach-notice-handover]').setValue(false)
  await flushPromises()
  expect(asked).toContainEqual({ call: 'PUT /reach/notices', body: chosen })
  expect(boxes(wrapper)).toEqual([['handover', false], ['ask', true]])
  fakeServer({ ...mine, 'PUT /reach/notices': { status: 503, body: { code: 'busy', message: { zh: '服务器繁忙，请稍后再试。', en: 'busy' } } } })
  await wrapper.get('[data-testid=reach-notice-ask]').setValue(false)
  await flushPromises()
  expect(boxes(wrapper)).toEqual([['handover', false], ['ask', true]])
  expect(wrapper.text()).toContain('服务器繁忙')
})
