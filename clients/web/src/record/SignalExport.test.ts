import { flushPromises } from '@vue/test-utils'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { mountPage } from '@/testing/mount'
import { nameOf } from './download'
import SignalExport from './SignalExport.vue'

const signal = { streamId: 's-1', kind: 'ecg', label: 'ECG', samplingRateHz: 500, leads: [], startMs: -2_000, endMs: 60_000, url: '', partUrl: '', overviewUrl: '' }
const props = { recordingId: 'rec-1', startedAt: '2026-01-01T00:00:00Z', signal, position: 55_000 }

const answering = (answer: () => Promise<Response>) => {
  const asked: string[] = []
  globalThis.fetch = ((url: string) => {
    asked.push(url)
    return answer()
  }) as typeof fetch
  return asked
}

const file = () => new Response('abcd', { headers: { 'Content-Length': '4', 'Content-Type': 'application/dicom', 'Content-Disposition': 'attachment; filename="s-1.dcm"' } })

describe('taking a signal along', () => {
  const saved: string[] = []

  beforeEach(() => {
    document.body.innerHTML = ''
    saved.length = 0
    URL.createObjectURL = vi.fn(() => 'blob:x')
    HTMLAnchorElement.prototype.click = function click() { saved.push(this.download) }
  })

  const opened = async () => {
    const { wrapper } = await mountPage(SignalExport, props)
    await wrapper.get('[data-testid=export-open]').trigger('click')
    return wrapper
  }

  it('saves the whole stream under the server\'s name', async () => {
    const asked = answering(() => Promise.resolve(file()))
    const wrapper = await opened()
    await wrapper.get('[data-testid=export-dicom]').trigger('click')
    await flushPromises()
    await vi.waitFor(() => expect(saved).toEqual(['s-1.dcm']))
    expect(asked).toEqual(['/api/v1/recordings/rec-1/signals/s-1/export?format=dicom'])
    await vi.waitFor(() => expect(wrapper.get('[data-testid=export-done]').text()).toContain('s-1.dcm'))
  })

  it('asks for the ten seconds that are there when the end is near', async () => {
    const asked = answering(() => Promise.resolve(file()))
    const wrapper = await opened()
    await wrapper.get('[data-testid=export-strip]').setValue()
    await wrapper.get('[data-testid=export-edf]').trigger('click')
    await vi.waitFor(() => expect(saved).toHaveLength(1))
    expect(decodeURIComponent(asked[0]!)).toContain('format=edf&from=2026-01-01T00:00:50.000Z&to=2026-01-01T00:01:00.000Z')
  })

  it('says that the server writes, and stops when told to', async () => {
    let left = false
    globalThis.fetch = ((_: string, init: RequestInit) => new Promise((_resolve, reject) => {
      init.signal?.addEventListener('abort', () => {
        left = true
        reject(new DOMException('', 'AbortError'))
      })
    })) as typeof fetch
    const wrapper = await opened()
    await wrapper.get('[data-testid=export-csv]').trigger('click')
    expect(wrapper.get('[data-testid=export-progress]').text()).toContain('服务器正在生成文件')
    expect(wrapper.get('[data-testid=export-edf]').attributes('disabled')).toBeDefined()
    await wrapper.get('[data-testid=export-progress] button').trigger('click')
    await flushPromises()
    expect([left, wrapper.find('[data-testid=error]').exists(), wrapper.find('[data-testid=export-progress]').exists()]).toEqual([true, false, false])
  })

  it('tells the server\'s reason, and lets another format be tried', async () => {
    answering(() => Promise.resolve(new Response(JSON.stringify({ code: 'signal_export_too_long', message: { zh: '时间段过长', en: 'too long' } }), { status: 413 })))
    const wrapper = await opened()
    await wrapper.get('[data-testid=export-fhir]').trigger('click')
    await vi.waitFor(() => expect(wrapper.get('[data-testid=error]').text()).toContain('时间段过长'))
    expect(wrapper.get('[data-testid=export-edf]').attributes('disabled')).toBeUndefined()
    expect(saved).toEqual([])
  })

  it('takes no path for a name', () => {
    expect([nameOf('attachment; filename="a.edf"'), nameOf('attachment; filename="../a"'), nameOf(null)]).toEqual(['a.edf', 'signal', 'signal'])
  })
})
