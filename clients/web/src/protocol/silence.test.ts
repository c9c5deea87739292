import { describe, expect, it } from 'vitest'
import { newestPacket, Silence } from './silence'

/** Looks each 100 ms at signs of life; when it gave alarm, in ms. */
function alarms(signs: (number | null)[], step = 100): number[] {
  const rule = new Silence()
  return signs.flatMap((sign, index) => (rule.look(sign, 10_000 + index * step) ? [index * step] : []))
}

const flowing = (count: number, from = 1) => Array.from({ length: count }, (_, index) => from + index)
const still = (count: number, sign: number | null) => Array.from({ length: count }, () => sign)

describe('silence', () => {
  it('is told once, half a second after the last packet', () => {
    expect(alarms([...flowing(10), ...still(30, 10)])).toEqual([1400])
  })

  it('is none while voices pause as Opus does', () => {
    const pauses = flowing(20).flatMap((sign) => still(4, sign))
    expect(alarms(pauses)).toEqual([])
  })

  it('is none before anything came, nor while nothing is expected', () => {
    expect(alarms(still(30, 0))).toEqual([])
    expect(alarms([...flowing(10), ...still(30, null)])).toEqual([])
  })

  it('is told again of another silence, but not at every gap of a stream in pieces', () => {
    const pieces = (count: number, from: number) => flowing(count, from).flatMap((sign) => still(8, sign))
    const told = alarms([...flowing(5), ...pieces(20, 100)])
    expect(told.length).toBe(4)
    expect(told.slice(1).map((at, index) => at - told[index]!).every((gap) => gap >= 5000)).toBe(true)
  })

  it('is told sooner again when the last alarm was answered', () => {
    const rule = new Silence()
    const told: number[] = []
    const signs = [...flowing(5), ...still(8, 5), ...flowing(1, 6), ...still(20, 6)]
    signs.forEach((sign, index) => {
      if (!rule.look(sign, 10_000 + index * 100)) return
      told.push(index * 100)
      rule.answered()
    })
    expect(told).toEqual([900, 1900])
  })

  it('is none when the page itself slept', () => {
    expect(alarms([...flowing(3), 3, ...flowing(3, 4)], 1500)).toEqual([])
  })
})

it('the newest packet is that of all receivers', () => {
  const receiver = (...times: number[]) => ({
    getSynchronizationSources: () => times.map((timestamp) => ({ timestamp, source: 1, rtpTimestamp: 0 })),
  })
  expect(newestPacket([])).toBeNull()
  expect(newestPacket([receiver()])).toBe(0)
  expect(newestPacket([receiver(5, 9), receiver(7)])).toBe(9)
})
