import { describe, expect, it } from 'vitest'
import { offsetOf, paintRow, rowsOfPage } from './overview'

const minutes = (count: number) => count * 60_000

describe('rows of an overview', () => {
  it('begin at round times, the latest page first, and cover all', () => {
    const extent = { startMs: minutes(100) + 30_000, endMs: minutes(145) + 1 }
    const found = [0, 1, 2].map((page) => rowsOfPage(extent, 60_000, 20, page).starts)
    expect(found.map((starts) => starts.length)).toEqual([20, 20, 6])
    expect(found[0]?.at(-1)).toBe(minutes(145))
    expect(found[2]?.[0]).toBe(minutes(100))
    expect(rowsOfPage(extent, 60_000, 20, 7)).toMatchObject({ pages: 3, page: 2 })
  })

  it('find the page of a moment', () => {
    const extent = { startMs: minutes(100), endMs: minutes(145) }
    for (const at of [100, 101, 124, 125, 144]) {
      const { page } = rowsOfPage(extent, 60_000, 20, 0, minutes(at))
      expect(rowsOfPage(extent, 60_000, 20, page).starts).toContain(minutes(at))
    }
  })

  it('take their part of an answer', () => {
    const data = Int16Array.from({ length: 2 * 2 * 20 }, (_unused, index) => index)
    expect([...offsetOf(data, 0, 1_000, 1_000)][0]).toBe(40)
  })

  it('draw a stroke for what is there and a bar for what is not', () => {
    const rects: number[][] = []
    const context = { canvas: { width: 4, height: 44 }, clearRect: () => undefined, fillRect: (...args: number[]) => rects.push(args), fillStyle: '' }
    paintRow(context as unknown as CanvasRenderingContext2D, Int16Array.from([0, 1000, 32767, -32768]), { perMillivolt: 1000, baseline: 0, trace: 'a', gap: 'b', from: 0, to: 2 })
    expect(rects).toHaveLength(2)
    expect(rects[0]?.[3]).toBeCloseTo(20, 0)
    expect(rects[1]).toEqual([2, 40, 2, 4])
    rects.length = 0
    // What lies before the stream or behind it is not missing.
    paintRow(context as unknown as CanvasRenderingContext2D, Int16Array.from([0, 1000, 32767, -32768]), { perMillivolt: 1000, baseline: 0, trace: 'a', gap: 'b', from: 0, to: 0.5 })
    expect(rects).toHaveLength(1)
  })
})
