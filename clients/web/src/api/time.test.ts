import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

const START = Date.parse('2026-01-01T00:00:00Z')
const HOUR = 3_600_000

describe('the time by the server', () => {
  let mine = 0
  beforeEach(() => {
    mine = 5_000
    vi.resetModules()
    vi.useFakeTimers({ toFake: ['Date'], now: START })
    vi.spyOn(performance, 'now').mockImplementation(() => mine)
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.restoreAllMocks()
  })

  const told = (at: number): string => new Date(at).toUTCString()

  it('is the computer\'s own until something was told', async () => {
    const { serverNow } = await import('./time')
    expect(serverNow()).toBe(START)
  })

  it('believes a clock that is right to the second', async () => {
    const { learnServerTime, serverNow } = await import('./time')
    learnServerTime(told(START), START - 100, START)
    expect(serverNow()).toBe(START)
  })

  it('goes by the server where the clock is wrong', async () => {
    const { learnServerTime, serverNow } = await import('./time')
    learnServerTime(told(START + HOUR), START, START)
    expect(serverNow()).toBe(START + HOUR + 500)
  })

  it('runs on evenly when the clock jumps, either way', async () => {
    const { learnServerTime, serverNow } = await import('./time')
    learnServerTime(told(START), START, START)
    for (const jump of [3 * HOUR, -3 * HOUR]) {
      vi.setSystemTime(START + jump)
      mine += 1_000
      expect(serverNow()).toBe(START + mine - 5_000)
    }
  })

  it('learns nothing from an answer without a time', async () => {
    const { learnServerTime, serverNow } = await import('./time')
    learnServerTime(null, START, START)
    learnServerTime('soon', START, START)
    vi.setSystemTime(START + 7)
    expect(serverNow()).toBe(START + 7)
  })
})
