import { describe, expect, it, vi } from 'vitest'
import { consultation } from '@/testing/fixtures'
import { mountPage } from '@/testing/mount'
import { gridPath, PULSE_MM, sheetsOf, STRIP_MM, tracePath } from './print'
import PrintStrip from './PrintStrip.vue'
import type { Strip } from './strip'
import { CODES } from './testing'
import { addEcgTexts } from './texts'

addEcgTexts()
const strip = (leads: number): Strip => ({
  rateHz: 100, endMs: 1_767_225_600_000, band: '0.05–150 Hz',
  leads: Array.from({ length: leads }, (_unused, lead) => ({ label: CODES[lead] ?? `V${lead}`, millivolts: new Float32Array(1000).fill(0.5) })),
})

describe('a printed strip', () => {
  it('is 25 mm to the second and 10 mm to the millivolt', () => {
    expect(tracePath(Float32Array.from([0, 1, -0.5]), 1, PULSE_MM, 30)).toBe('M10 30L35 20L60 35')
    expect(STRIP_MM).toBe(250)
    const [sheet] = sheetsOf(strip(1))
    expect(sheet!.rows[0]!.path).toMatch(/L259.7[46] 11$/)
    expect(sheet!.rows[0]!.pulse).toBe('M1 16H3V6H8V16H10')
  })

  it('is broken where nothing was measured', () => {
    expect(tracePath(Float32Array.from([Number.NaN, 1, 1, Number.NaN, 1]), 25, 0, 10)).toBe('M1 0L2 0M4 0')
  })

  it('has twelve leads on a sheet, eighteen on two, and never leaves the paper', () => {
    const labels = (leads: number) => sheetsOf(strip(leads)).map(({ rows }) => rows.length)
    expect([labels(1), labels(12), labels(15), labels(18), labels(0)]).toEqual([[1], [12], [8, 7], [9, 9], [0]])
    for (const sheet of sheetsOf(strip(18))) {
      expect(sheet.height).toBeLessThanOrEqual(165)
      for (const { baseline } of sheet.rows) expect(baseline - 10).toBeGreaterThanOrEqual(0)
    }
    expect(gridPath(5, 10, 5)).toBe('M0 0V5M5 0V5M10 0V5M0 0H10M0 5H10')
  })

  it('says who, when and how, and that it is no diagnosis; prints, and goes', async () => {
    const print = vi.fn()
    vi.stubGlobal('print', print)
    const { wrapper } = await mountPage(PrintStrip, { strip: strip(12), clockMs: 0, device: 'ECG', consultation: consultation() })
    const sheet = document.querySelector('.ecg-print')!
    for (const text of [consultation().patient.name, '25 mm/s · 10 mm/mV · 0.05–150 Hz', '10 s = 250 mm', '不是诊断结论']) expect(sheet.textContent).toContain(text)
    expect(print).toHaveBeenCalledOnce()
    dispatchEvent(new Event('afterprint'))
    expect(wrapper.emitted('done')).toHaveLength(1)
    wrapper.unmount()
    vi.unstubAllGlobals()
  })
})
