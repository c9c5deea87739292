import { describe, expect, it } from 'vitest'
import { Display } from './display'
import { bandText, chainOf, FilterState, response, UNFILTERED, type FilterChoice, type FilterName } from './filters'
import { SignalRing } from './ring'
import { frame, streamInfo } from './testing'

const DIAGNOSTIC: FilterChoice = { filter: 'diagnostic', mains: 0 }

/** The amplitude that a sine of 1 has behind the filter once it swings evenly. */
function amplitude(choice: FilterChoice, hertz: number, rateHz: number): number {
  const state = new FilterState(chainOf(choice, rateHz))
  const settle = Math.ceil(rateHz * 30)
  let most = 0
  for (let index = 0; index < settle + rateHz / Math.min(hertz, 1); index += 1) {
    const y = state.next(Math.sin((2 * Math.PI * hertz * index) / rateHz))
    if (index >= settle) most = Math.max(most, Math.abs(y))
  }
  return most
}

// Of the analogue filters, through the bilinear transformation: W = tan(pi f / fs) / tan(pi fc / fs); W / sqrt(1 + W^2) and 1 / sqrt(1 + W^4).
const GOLDEN: [FilterName, number, number, number][] = [
  ['diagnostic', 0.05, 1000, 0.707107],
  ['diagnostic', 0.5, 1000, 0.995037],
  ['diagnostic', 10, 1000, 0.99998],
  ['diagnostic', 40, 1000, 0.998115],
  ['diagnostic', 150, 1000, 0.707107],
  ['diagnostic', 300, 1000, 0.135773],
  ['st', 40, 500, 0.707106],
  ['monitor', 0.05, 500, 0.099503],
  ['monitor', 0.5, 500, 0.707107],
  ['monitor', 10, 500, 0.99696],
  ['monitor', 100, 500, 0.123924],
]

describe('filters', () => {
  it.each(GOLDEN)('%s lets %s Hz at %s Hz through by %s', (filter, hertz, rateHz, wanted) => {
    const choice = { filter, mains: 0 } as const
    expect(response(chainOf(choice, rateHz), hertz, rateHz)).toBeCloseTo(wanted, 5)
    if (hertz >= 0.5) expect(amplitude(choice, hertz, rateHz)).toBeCloseTo(wanted, 2)
  })

  it.each([50, 60] as const)('takes the hum of %s Hz and leaves the rest', (mains) => {
    const choice = { filter: 'off', mains } as const
    expect(amplitude(choice, mains, 500)).toBeLessThan(0.01)
    expect(amplitude(choice, 10, 500)).toBeGreaterThan(0.99)
    expect(response(chainOf(choice, 500), 100, 500)).toBeGreaterThan(0.97)
  })

  it('passes the impulse test of a diagnostic recorder: 3 mV for 100 ms leaves less than 0.1 mV and 0.3 mV/s', () => {
    const state = new FilterState(chainOf(DIAGNOSTIC, 1000))
    const y = Array.from({ length: 600 }, (_unused, index) => state.next(index >= 100 && index < 200 ? 3 : 0))
    expect(Math.max(...y.slice(0, 200))).toBeGreaterThan(2.9)
    expect(Math.abs(y[230]!)).toBeLessThan(0.1)
    expect(Math.abs(y[530]! - y[230]!) / 0.3).toBeLessThan(0.3)
  })

  it('begins without a swing, whatever the offset of the electrodes', () => {
    const state = new FilterState(chainOf({ filter: 'monitor', mains: 50 }, 500))
    for (let index = 0; index < 1000; index += 1) expect(Math.abs(state.next(300_000))).toBeLessThan(1e-3)
  })

  it('stays stable for hours', () => {
    const state = new FilterState(chainOf(DIAGNOSTIC, 1000))
    let last = 0
    for (let index = 0; index < 1_000_000; index += 1) last = state.next(index % 2 ? 30_000 : -30_000)
    expect(Math.abs(last)).toBeLessThan(30_000)
  })

  it('names what it really does, and does nothing beyond half of the rate', () => {
    expect(bandText(DIAGNOSTIC, 1000)).toBe('0.05–150 Hz')
    expect(bandText({ filter: 'diagnostic', mains: 50 }, 250)).toBe('0.05–125 Hz  AC 50 Hz')
    expect(bandText({ filter: 'off', mains: 60 }, 100)).toBe('')
    expect(chainOf(DIAGNOSTIC, 250)).toHaveLength(1)
  })
})

describe('Display', () => {
  const info = streamInfo({ leads: [{ code: 'II', scale: 2, baseline: 5, unit: 'uV' }] })
  const filled = (to: number, skip: number[] = []) => {
    const ring = new SignalRing(info, 600)
    for (let sequence = 0; sequence < to; sequence += 1) if (!skip.includes(sequence)) ring.write(frame(sequence, { leads: 1 }))
    return ring
  }

  it('gives the lead\'s unit where nothing is filtered', () => {
    const display = new Display(filled(3), info.leads, UNFILTERED)
    display.prepare(0, 30)
    expect([display.value(0, 0), display.value(29, 0)]).toEqual([-10, 48])
  })

  it('never changes what is kept', () => {
    const ring = filled(50)
    new Display(ring, info.leads, { filter: 'monitor', mains: 50 }).prepare(0, 500)
    expect(Array.from({ length: 500 }, (_unused, index) => ring.value(index, 0))).toEqual(Array.from({ length: 500 }, (_unused, index) => index))
  })

  it('draws the same in small steps and at once', () => {
    const choice = { filter: 'monitor', mains: 0 } as const
    const [steps, once] = [new Display(filled(50), info.leads, choice), new Display(filled(50), info.leads, choice)]
    for (let to = 7; to <= 500; to += 7) steps.prepare(to - 7, to)
    once.prepare(0, 490)
    for (let index = 0; index < 490; index += 1) expect(steps.value(index, 0)).toBe(once.value(index, 0))
  })

  it('begins anew behind a gap', () => {
    const display = new Display(filled(50, [20, 21]), info.leads, { filter: 'monitor', mains: 0 })
    display.prepare(0, 500)
    expect(display.value(220, 0)).toBeCloseTo(0, 3)
    expect(display.value(199, 0)).not.toBeCloseTo(0, 0)
  })

  it('takes in what came late when it is asked to, and forgets only that', () => {
    const ring = filled(50, [20])
    const display = new Display(ring, info.leads, { filter: 'monitor', mains: 0 })
    display.prepare(0, 500)
    const kept = display.value(400, 0)
    ring.write(frame(20, { leads: 1 }))
    display.forget(210)
    display.prepare(490, 500)
    expect(display.value(400, 0)).toBe(kept)
    display.prepare(0, 500)
    expect(display.value(205, 0)).not.toBe(0)
    expect(display.value(400, 0)).not.toBe(kept)
  })
})
