import type { Producer } from 'mediasoup-client/types'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { restUnsent, Resting } from './resting'

/** One look a second; `sends` says which encodings send in that second. Returns how many were active after each. */
function watch(resting: Resting, sends: boolean[][]): number[] {
  const frames = sends[0]!.map(() => 0)
  return sends.map((each, second) => {
    each.forEach((one, index) => (frames[index]! += one && index < resting.active ? 20 : 0))
    return resting.look([...frames], second * 1000)
  })
}
const times = (count: number, ...sends: boolean[]): boolean[][] => Array.from({ length: count }, () => sends)

describe('Resting', () => {
  it('leaves all active that are sent', () => {
    expect(new Set(watch(new Resting(2), times(30, true, true)))).toEqual(new Set([2]))
  })

  it('lets the top one rest that the line has no room for, and tries it again, ever later', () => {
    const active = watch(new Resting(2), [...times(3, true, true), ...times(40, true, false)])
    const tries = active.flatMap((now, second) => (now === 2 && active[second - 1] === 1 ? [second] : []))
    expect(active.slice(0, 5)).toEqual([2, 2, 2, 2, 1])
    expect(tries.slice(0, 3)).toEqual([8, 17, 26])
    for (const second of tries) expect(active.slice(second, second + 3)).toEqual([2, 2, 1])
  })

  it('is whole again within ten seconds of a wider line', () => {
    const resting = new Resting(2)
    const thin = [...times(3, true, true), ...times(40, true, false)]
    const active = watch(resting, [...thin, ...times(20, true, true)])
    expect(active.indexOf(2, thin.length)).toBeLessThan(thin.length + 10)
    expect(new Set(active.slice(thin.length + 10))).toEqual(new Set([2]))
  })

  it('goes down one by one', () => {
    const active = watch(new Resting(3), [...times(2, true, true, true), ...times(5, true, false, false)])
    expect(active).toEqual([3, 3, 3, 2, 2, 1, 1])
  })

  it('gives time to one that was never sent', () => {
    expect(watch(new Resting(2), times(12, true, false)).lastIndexOf(2)).toBe(8)
  })

  it('learns nothing from a camera that is off', () => {
    const active = watch(new Resting(2), [...times(2, true, true), ...times(30, false, false)])
    expect(new Set(active)).toEqual(new Set([2]))
  })
})

describe('restUnsent', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('takes the unsent encoding out until the producer is closed', async () => {
    const encodings = [{ rid: 'r0', active: true }, { rid: 'r1', active: true }]
    const set = vi.fn(async () => undefined)
    let looks = 0
    let close = (): void => undefined
    const rtpSender = {
      getParameters: () => ({ encodings }),
      setParameters: set,
      getStats: async () => {
        looks += 1
        return new Map([
          ['a', { type: 'outbound-rtp', rid: 'r0', framesSent: 20 * looks }],
          ['b', { type: 'outbound-rtp', rid: 'r1', framesSent: 3 }],
          ['c', { type: 'transport' }],
        ])
      },
    }
    restUnsent({ rtpSender, closed: false, observer: { on: (_: string, then: () => void) => (close = then) } } as unknown as Producer)
    await vi.advanceTimersByTimeAsync(3000)
    expect(set).toHaveBeenCalledTimes(1)
    expect(encodings.map(({ active }) => active)).toEqual([true, false])
    close()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(looks).toBe(3)
  })

  it('has nothing to do with one encoding', () => {
    const getStats = vi.fn()
    restUnsent({ rtpSender: { getParameters: () => ({ encodings: [{}] }), getStats } } as unknown as Producer)
    vi.advanceTimersByTime(5000)
    expect(getStats).not.toHaveBeenCalled()
  })
})
