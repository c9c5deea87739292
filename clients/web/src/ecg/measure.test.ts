import { describe, expect, it, vi } from 'vitest'
import { mountPage } from '@/testing/mount'
import Calipers from './Calipers.vue'
import { useDrag } from './drag'
import { layOut, type LayoutWishes } from './layout'
import { marchOut, moved, openingLines, readingOf } from './measure'
import PastBar from './PastBar.vue'
import { remembered } from './settings'
import { streamInfo } from './testing'
import { addEcgTexts } from './texts'

const wishes: LayoutWishes = { width: 1000, height: 500, devicePixelRatio: 2, layout: '6x2', scale: 1, speed: 25, gain: 10 }
const layout = layOut(wishes, streamInfo().leads)
const scale = { layout, ratio: 2 }
const second = layout.pxPerSecond / 2
const millivolt = layout.pxPerMillivolt / 2
addEcgTexts()

describe('calipers', () => {
  it('read time, rate and height as the paper is ruled', () => {
    const reading = readingOf({ left: 100, right: 100 + 0.8 * second, top: 50, bottom: 50 + 1.5 * millivolt }, scale)
    expect(reading.milliseconds).toBeCloseTo(800, 6)
    expect(reading.perMinute).toBeCloseTo(75, 6)
    expect(reading.millivolts).toBeCloseTo(1.5, 6)
    expect(readingOf({ left: 5, right: 5, top: 0, bottom: 0 }, scale).perMinute).toBeNull()
  })

  it('open as 600 ms and 1 mV', () => {
    const { milliseconds, millivolts } = readingOf(openingLines(scale), scale)
    expect(milliseconds).toBeCloseTo(600, 6)
    expect(millivolts).toBeCloseTo(1, 6)
  })

  it('open wide enough to be gripped on small paper', () => {
    const small = { layout: layOut({ ...wishes, height: 130, speed: 12.5 }, streamInfo().leads), ratio: 2 }
    const lines = openingLines(small)
    expect(lines.bottom - lines.top).toBeGreaterThanOrEqual(26)
    expect(lines.right - lines.left).toBeGreaterThanOrEqual(26)
    expect(readingOf(lines, small)).toMatchObject({ milliseconds: expect.closeTo(1200, 6), millivolts: expect.closeTo(2, 6) })
  })

  it('stay on the paper, and keep their distance when moved together', () => {
    const lines = openingLines(scale)
    const out = moved(lines, ['left', 'right', 'top', 'bottom'], 10_000, -10_000, scale)
    expect([out.right, out.top]).toEqual([1000, 0])
    expect(readingOf(out, scale).milliseconds).toBeCloseTo(600, 6)
    expect(moved(lines, ['left'], -10_000, 5, scale)).toEqual({ ...lines, left: 0 })
  })

  it('march over their own column', () => {
    const column = layout.columns[1]!
    const lines = { left: column.left / 2 + 40, right: column.left / 2 + 90, top: 40, bottom: 60 }
    const found = marchOut(lines, scale)
    expect(found[0]).toBeGreaterThanOrEqual(column.left / 2)
    expect(found.at(-1)).toBeLessThanOrEqual(column.right / 2)
    for (const at of found) expect(((at - lines.left) / 50) % 1).toBeCloseTo(0, 9)
    expect(found).not.toContain(lines.left)
    expect(marchOut({ ...lines, right: lines.left + 1 }, scale)).toEqual([])
  })

  it('are moved by arrow keys, ten times as far with Shift, and say what they read', async () => {
    const { wrapper } = await mountPage(Calipers, { layout, ratio: 2, marching: false })
    const right = wrapper.get('[data-testid=caliper-right]')
    expect(right.attributes('aria-valuetext')).toBe('600 ms, 100 /min, 1.00 mV')
    for (let press = 0; press < 3; press += 1) await right.trigger('keydown', { key: 'ArrowRight', shiftKey: true })
    await right.trigger('keydown', { key: 'ArrowLeft' })
    const wanted = 600 + (29 * 1000) / layout.pxPerSecond
    expect(wrapper.get('[data-testid=caliper-reading]').text()).toContain(`${Math.round(wanted)} ms`)
    await wrapper.get('[data-testid=caliper-top]').trigger('keydown', { key: 'ArrowUp', shiftKey: true })
    expect(wrapper.get('[data-testid=caliper-reading]').text()).toContain(`${(1 + 10 / layout.pxPerMillivolt).toFixed(2)} mV`)
    expect(wrapper.findAll('.march')).toHaveLength(0)
    await wrapper.setProps({ marching: true } as never)
    expect(wrapper.findAll('.march').length).toBeGreaterThan(3)
    wrapper.unmount()
  })
})

describe('looking back', () => {
  const span = { oldestMs: 0, headMs: 600_000, pastMs: 590_000 }

  it('moves by slider and by pages', async () => {
    const { wrapper } = await mountPage(PastBar, { span, clockMs: 0, pageSeconds: 5 })
    expect(wrapper.get('[data-testid=ecg-past-ago]').attributes('data-seconds')).toBe('10')
    await wrapper.get('[data-testid=ecg-past-back]').trigger('click')
    await wrapper.get('[data-testid=ecg-past-position]').trigger('keydown', { key: 'PageDown' })
    await wrapper.get('[data-testid=ecg-past-position]').setValue(123_400)
    expect(wrapper.emitted('look')).toEqual([[585_000], [595_000], [123_400]])
    wrapper.unmount()
  })

  it('pulls the paper: to the right is back in time, and nothing while live', () => {
    const looked: number[] = []
    let end: number | null = 10_000
    const drag = useDrag(() => end, () => 100, (endMs) => looked.push(endMs))
    const target = { setPointerCapture: vi.fn() }
    const at = (clientX: number) => ({ clientX, button: 0, pointerId: 1, currentTarget: target }) as unknown as PointerEvent
    drag.pointermove(at(40))
    drag.pointerdown(at(50))
    drag.pointermove(at(150))
    drag.pointerup(at(150))
    drag.pointermove(at(250))
    drag.wheel({ deltaX: 0, deltaY: 50, preventDefault: vi.fn() } as unknown as WheelEvent)
    end = null
    drag.pointerdown(at(0))
    drag.pointermove(at(9))
    expect(looked).toEqual([9_000, 10_500])
  })
})

describe('settings', () => {
  it('are those of the last time, and fresh where what is kept makes no sense', () => {
    expect(remembered(JSON.stringify({ speed: 50, filter: 'monitor', mains: 50, scale: 1.1, order: 'cabrera', style: 'monitor' }))).toEqual({
      speed: 50, filter: 'monitor', mains: 50, scale: 1.1, order: 'cabrera', style: 'monitor',
    })
    const fresh = { speed: 25, filter: 'diagnostic', mains: 0, scale: 1, order: 'standard', style: 'paper' }
    for (const text of [null, '{', 'null', '[]', '{"speed":"50","filter":7,"mains":55,"scale":9,"order":null,"style":"x"}']) expect(remembered(text)).toEqual(fresh)
  })
})
