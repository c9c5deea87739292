import { flushPromises } from '@vue/test-utils'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { consultation } from '@/testing/fixtures'
import { fakeServer, mountPage, type Answer } from '@/testing/mount'
import MaterialPanel from './MaterialPanel.vue'
import { addConsultationTexts } from './texts'

addConsultationTexts()

const sent: string[] = []
vi.mock('@/api/sendFile', () => ({
  sendFile: (path: string) => {
    sent.push(path)
    return Promise.resolve(path.endsWith('/check') ? look : {})
  },
}))

const look = { mediaType: 'application/edf', upload: 'u-1', signals: [{ kind: 'ecg', leads: ['I', 'II'], samplingRateHz: 500, startedAt: null, seconds: 10, missingS: 2 }] }
const path = '/consultations/con-1/materials'

/** A file with a signal is chosen, looked at, and added. */
async function added(kept: Answer) {
  const asked = fakeServer({ [`GET ${path}`]: { body: [] }, [`POST ${path}/keep`]: kept })
  const { wrapper } = await mountPage(MaterialPanel, { consultation: consultation({ allowed: ['attach'] }) })
  const input = wrapper.get<HTMLInputElement>('[data-testid=material-add]')
  Object.defineProperty(input.element, 'files', { value: [new File(['0       '], '心电图.edf')] })
  await input.trigger('change')
  await vi.waitFor(() => expect(wrapper.find('[data-testid=material-found]').exists()).toBe(true))
  const words = wrapper.get('[data-testid=material-found]').text()
  await wrapper.get('[data-testid=material-keep]').trigger('click')
  await flushPromises()
  return { wrapper, asked, words }
}

describe('a file with signals', () => {
  beforeEach(() => {
    document.body.innerHTML = ''
    sent.length = 0
  })

  it('is sent once: what was looked at is kept by its token', async () => {
    const { wrapper, words } = await added({ body: {} })
    for (const said of ['心电图.edf', '500 Hz', 'I II']) expect(words).toContain(said)
    expect(sent).toEqual([`${path}/check`])
    expect(wrapper.find('[data-testid=material-found]').exists()).toBe(false)
  })

  it('is sent again when the server no longer has it', async () => {
    const { wrapper } = await added({ status: 410, body: { code: 'upload_gone' } })
    await vi.waitFor(() => expect(sent).toEqual([`${path}/check`, `${path}?name=${encodeURIComponent('心电图.edf')}`]))
    await vi.waitFor(() => expect(wrapper.find('[data-testid=material-found]').exists()).toBe(false))
  })

  it('stays on the screen when it cannot be kept, and says why', async () => {
    const { wrapper } = await added({ status: 409, body: { code: 'wrong_state', message: { zh: '当前状态不允许', en: 'not now' } } })
    await vi.waitFor(() => expect(wrapper.get('[data-testid=error]').text()).toContain('当前状态不允许'))
    expect(wrapper.find('[data-testid=material-found]').exists()).toBe(true)
    expect(sent).toHaveLength(1)
  })
})
