import { describe, expect, it, vi } from 'vitest'
import { mountPage } from '@/testing/mount'
import { RingSound } from '@/ring/sound'
import { Findings, soundOf, type Alarm, type Analysis } from './findings'
import { addEcgTexts } from './texts'
import VitalsBar from './VitalsBar.vue'

addEcgTexts()
const analysis = (change: Partial<Analysis> = {}): Analysis => ({
  streamId: 'stream-1', deviceTime: 1, heartRate: 72, quality: 'good', leads: { I: 'good' }, beats: [], limits: { low: 50, high: 120 }, skippedSeconds: 0, ...change,
})
const alarm = (change: Partial<Alarm> = {}): Alarm => ({
  id: 'a-1', streamId: 'stream-1', kind: 'tachycardia', category: 'physiological', severity: 'medium', state: 'raised', active: true, over: false, since: 10,
  acknowledgedBy: null, message: { zh: '心率 150', en: 'Heart rate 150' }, ...change,
})

describe('Findings', () => {
  it('shows no rate of the past', () => {
    const findings = new Findings()
    findings.hear(analysis(), 1_000)
    expect(findings.of('stream-1', 6_000)?.heartRate).toBe(72)
    expect(findings.of('stream-1', 6_001)).toBeNull()
    expect(findings.of('stream-2', 1_000)).toBeNull()
  })

  it('puts what waits for a person first, the worst and the newest before others', () => {
    const findings = new Findings()
    findings.alarm(alarm({ id: 'seen', severity: 'high', state: 'acknowledged' }))
    findings.alarm(alarm({ id: 'old', since: 1 }))
    findings.alarm(alarm({ id: 'new', since: 9 }))
    findings.alarm(alarm({ id: 'worst', severity: 'high', since: 0 }))
    expect(findings.alarms().map(({ id }) => id)).toEqual(['worst', 'new', 'old', 'seen'])
    findings.alarm(alarm({ id: 'worst', over: true }))
    expect(findings.alarms().map(({ id }) => id)).toEqual(['new', 'old', 'seen'])
    findings.anew()
    expect(findings.alarms()).toEqual([])
  })

  it('keeps a bounded number of both', () => {
    const findings = new Findings()
    for (let number = 0; number < 100; number += 1) {
      findings.alarm(alarm({ id: `a-${number}` }))
      findings.hear(analysis({ streamId: `s-${number}` }), 0)
    }
    expect(findings.alarms()).toHaveLength(64)
    expect([findings.of('s-67', 0), findings.of('s-68', 0)?.streamId]).toEqual([null, 's-68'])
  })

  it.each([
    ['nothing', [], null],
    ['a technical one', [alarm({ category: 'technical' })], null],
    ['one that was acknowledged', [alarm({ state: 'acknowledged' })], null],
    ['one that has passed', [alarm({ state: 'ended' })], null],
    ['one that was silenced', [alarm({ id: 'silenced' })], null],
    ['a tachycardia', [alarm()], 'medium'],
    ['the worse of two', [alarm(), alarm({ id: 'a-2', severity: 'high' })], 'high'],
  ] as const)('sounds for %s as %s %s', (_name, alarms, wanted) => {
    expect(soundOf(alarms, new Set(['silenced']))).toBe(wanted)
  })
})

describe('VitalsBar', () => {
  it('shows the limits, and lets who may acknowledge choose others', async () => {
    const { wrapper } = await mountPage(VitalsBar, {
      analysis: analysis({}), alarms: [], refusal: null, acknowledges: true, limits: { patients: 'child', low: 75, high: 160, by: null },
    })
    expect(wrapper.get('[data-testid=ecg-limits]').text()).toContain('75–160')
    await wrapper.get('[data-testid=ecg-limits]').trigger('click')
    await expect.poll(() => document.querySelector('[data-testid=limits-neonate]')).not.toBeNull()
    const at = (id: string) => document.querySelector<HTMLInputElement>(`[data-testid=limits-${id}]`)!
    expect([at('child').checked, at('low').value]).toEqual([true, '75'])
    at('neonate').click()
    await expect.poll(() => at('high').value).toBe('200')
    at('low').value = '250'
    at('low').dispatchEvent(new Event('input'))
    await expect.poll(() => at('save').disabled).toBe(true)
    at('low').value = '90'
    at('low').dispatchEvent(new Event('input'))
    await expect.poll(() => at('save').disabled).toBe(false)
    at('save').click()
    expect(wrapper.emitted('limit')).toEqual([[{ patients: 'neonate', low: 90, high: 200 }]])
    wrapper.unmount()
  })

  it('only tells them to who may not', async () => {
    const { wrapper } = await mountPage(VitalsBar, { analysis: analysis({}), alarms: [], refusal: null, acknowledges: false, limits: null })
    expect(wrapper.find('[data-testid=ecg-limits]').exists()).toBe(false)
    expect(wrapper.text()).toContain('–')
    wrapper.unmount()
  })

  it('shows rate, quality and alarms; acknowledges and silences', async () => {
    const [start, stop] = [vi.spyOn(RingSound.prototype, 'start'), vi.spyOn(RingSound.prototype, 'stop')]
    const { wrapper } = await mountPage(VitalsBar, {
      analysis: analysis({ quality: 'fair' }), refusal: null, acknowledges: true, limits: null,
      alarms: [alarm({ severity: 'high' }), alarm({ id: 't', category: 'technical', severity: 'low', message: { zh: '导联脱落', en: 'Lead off' } })],
    })
    expect(wrapper.get('[data-testid=ecg-rate]').text()).toBe('72')
    expect(wrapper.get('.quality').text()).toContain('信号一般')
    expect(wrapper.get('[data-testid=ecg-technical]').text()).toContain('导联脱落')
    expect(wrapper.get('[data-testid=ecg-alarm]').text()).toContain('紧急报警')
    expect(start).toHaveBeenCalledWith('alarm_high')
    await wrapper.get('[data-testid=ecg-acknowledge]').trigger('click')
    expect(wrapper.emitted('acknowledge')).toEqual([['a-1']])
    stop.mockClear()
    await wrapper.get('[data-testid=ecg-silence]').trigger('click')
    expect(stop).toHaveBeenCalledOnce()
    await wrapper.setProps({ alarms: [alarm({ severity: 'high' }), alarm({ id: 'a-2' })] } as never)
    expect(start).toHaveBeenLastCalledWith('alarm_medium')
    await wrapper.setProps({ analysis: null, alarms: [alarm({ state: 'ended' })], acknowledges: false } as never)
    expect(wrapper.get('[data-testid=ecg-rate]').text()).toBe('--')
    expect(wrapper.text()).toContain('已恢复，待确认')
    expect(wrapper.find('[data-testid=ecg-acknowledge]').exists()).toBe(false)
    wrapper.unmount()
  })
})
