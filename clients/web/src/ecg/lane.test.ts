import { describe, expect, it, vi } from 'vitest'
import { mountPage } from '@/testing/mount'
import { axisFor, layOutLane, lineSeconds, type Axis } from './lane'
import { Monitor } from './monitor'
import SignalLane from './SignalLane.vue'
import { DEFAULT_OPTIONS, Sweep } from './sweep'
import { frame, recordingCanvas, streamInfo } from './testing'
import { addEcgTexts } from './texts'

addEcgTexts()
const fetal = streamInfo({ streamId: 'fetal', kind: 'fetal_heart_rate', samplingRateHz: 4, leads: [{ code: 'FHR1', name: 'FHR1', scale: 1, baseline: 0, unit: '/min' }] })

describe('axes', () => {
  it.each([
    ['a fetal heart rate as usual', 'fetal_heart_rate', '/min', { low: 110, high: 160 }, [50, 210]],
    ['a fetal heart rate of 35', 'fetal_heart_rate', '/min', { low: 35, high: 160 }, [0, 300]],
    ['a pressure as usual', 'arterial_pressure', 'mm[Hg]', { low: 60, high: 130 }, [0, 200]],
    ['a pressure in a unit of the device\'s own', 'arterial_pressure', 'mV', { low: 1, high: 3 }, [0, 4]],
    ['a pleth of one', 'pleth', '1', { low: 0.1, high: 0.9 }, [0, 1]],
    ['something unknown', 'temperature', 'Cel', { low: 36, high: 37.5 }, [35.5, 38]],
  ])('of %s', (_name, kind, unit, seen, wanted) => {
    const { low, high } = axisFor(kind, unit, seen, axisFor(kind, unit, null, null))
    expect(low).toBeLessThanOrEqual(seen.low)
    expect(high).toBeGreaterThanOrEqual(seen.high)
    expect([low, high]).toEqual(wanted)
  })

  it('stay while the trace fits and can be read, and follow otherwise', () => {
    const before: Axis = { low: 0, high: 4, step: 1 }
    expect(axisFor('respiration', 'Ohm', { low: 1, high: 3 }, before)).toBe(before)
    expect(axisFor('respiration', 'Ohm', null, before)).toBe(before)
    const closer = axisFor('respiration', 'Ohm', { low: 1, high: 1.2 }, before)
    expect(closer.high - closer.low).toBeLessThan(0.5)
    expect(axisFor('respiration', 'Ohm', { low: 1, high: 5 }, before).high).toBeGreaterThan(5)
    expect(axisFor('respiration', 'Ohm', { low: 2, high: 2 }, null)).toMatchObject({ step: expect.any(Number) as number })
  })

  it('give each lead its row, by the speed of its kind', () => {
    const wishes = { ...DEFAULT_OPTIONS, width: 1000, height: 100, devicePixelRatio: 2, scale: 1 }
    const layout = layOutLane(wishes, fetal, { low: 50, high: 210, step: 50 })
    const cell = layout.cells[0]!
    expect([cell.baseline - 210 * cell.perUnit, cell.baseline - 50 * cell.perUnit]).toEqual([6, 194].map((y) => expect.closeTo(y, 6) as number))
    expect(layout.pxPerSecond / layout.pxPerMm).toBe(0.5)
    expect(layout.seconds).toBeGreaterThan(480)
    expect(['pleth', 'respiration', 'fetal_heart_rate'].map(lineSeconds)).toEqual([1, 10, 60])
  })
})

function setUp() {
  const main = recordingCanvas()
  const monitor = new Monitor(new Sweep(main.canvas, main.context, () => recordingCanvas().canvas))
  const { canvas, context, drawn } = recordingCanvas()
  const sweep = new Sweep(canvas, context, () => recordingCanvas().canvas)
  sweep.set({ ...DEFAULT_OPTIONS, width: 800, height: 80, filter: 'diagnostic' })
  monitor.streamsAre([streamInfo(), fetal])
  monitor.lane('fetal', sweep)
  drawn.length = 0
  return { monitor, drawn, sweep }
}

describe('a lane', () => {
  it('draws its signal unfiltered, leaves out what is no value, and tells the latest', () => {
    const { monitor, drawn } = setUp()
    for (let second = 0; second < 40; second += 1) {
      const samples = Int16Array.from({ length: 4 }, () => (second >= 20 && second < 25 ? 0 : 140))
      const now = 1_000_000 + (second + 1) * 1000
      monitor.frame(frame(second, { streamId: 'fetal', leads: 1, count: 4, rateHz: 4, timeMs: 1_000_000 + second * 1000, samples }), now + 5)
      for (let step = 0; step < 10; step += 1) monitor.tick(now + 5 + step * 100)
    }
    const [lane] = monitor.status(1_040_005).lanes
    expect(lane).toEqual({ streamId: 'fetal', state: 'live', values: [140] })
    expect(monitor.status(1_040_005).stream?.kind).toBe('ecg')
    drawn.length = 0
    monitor.look(1_030_000)
    const lines = drawn.filter(({ name }) => name === 'lineTo').length
    expect(lines).toBeGreaterThan(80)
    // Two pieces, before and behind what was no value.
    expect(drawn.filter(({ name, args }) => name === 'moveTo' && (args[0] as number) > 40).length).toBeGreaterThanOrEqual(2)
    monitor.lane('fetal', null)
    expect(monitor.status(0).lanes).toEqual([])
  })

  it('shows name, unit and number, and gives its canvas away once', async () => {
    const handle = { lane: vi.fn(), setLane: vi.fn() }
    const { wrapper } = await mountPage(SignalLane, { info: fetal, lane: { streamId: 'fetal', state: 'stalled', values: [139.6] }, handle, options: DEFAULT_OPTIONS })
    expect(wrapper.text()).toContain('胎心率')
    expect(wrapper.get('strong').text()).toBe('140')
    expect(wrapper.text()).toContain('信号中断')
    await wrapper.setProps({ lane: { streamId: 'fetal', state: 'live', values: [null] } } as never)
    expect(wrapper.get('strong').text()).toBe('--')
    expect(handle.lane).toHaveBeenCalledOnce()
    wrapper.unmount()
    expect(handle.lane).toHaveBeenLastCalledWith('fetal', null, expect.anything())
  })
})
