import { describe, expect, it } from 'vitest'
import { barsOf, datesOf, dutyDays, hueOf, moved, rowsOf } from './calendar'
import type { RotaCalendar, Stretch } from './types'

const stretch = (starts: string, ends: string, people: string[], level = 1): Stretch => ({ level, starts, ends, people, missing: people.length ? [] : ['a'] })

describe('views', () => {
  it('begin on the date or on the first of its month', () => {
    expect(datesOf('week', '2026-03-04')).toEqual(['04', '05', '06', '07', '08', '09', '10'].map((day) => `2026-03-${day}`))
    expect(datesOf('month', '2028-02-10')).toHaveLength(29)
  })

  it('move over the end of a year', () => {
    expect(moved('month', '2026-12-31', 1)).toBe('2027-01-01')
    expect(moved('month', '2026-01-31', -1)).toBe('2025-12-01')
    expect(moved('week', '2026-12-30', 1)).toBe('2027-01-06')
  })
})

describe('bars', () => {
  const [day] = dutyDays(['2026-03-02'], '08:00', 'Asia/Shanghai')

  it('belong to the day on which the duty begins', () => {
    const bars = barsOf(day!, [stretch('2026-03-01T00:00:00Z', '2026-03-02T00:00:00Z', ['a']), stretch('2026-03-02T00:00:00Z', '2026-03-03T00:00:00Z', ['b'])])
    expect(bars.map((bar) => [bar.people, bar.whole])).toEqual([[['b'], true]])
  })

  it('are cut at the edges of the day, the first line in front', () => {
    const bars = barsOf(day!, [stretch('2026-03-02T12:00:00Z', '2026-03-09T00:00:00Z', [], 1), stretch('2026-02-01T00:00:00Z', '2026-04-01T00:00:00Z', ['b'], 2)])
    expect(bars.map((bar) => [bar.level, bar.whole, (bar.ends - bar.starts) / 3_600_000])).toEqual([[1, false, 12], [2, true, 24]])
  })
})

describe('people', () => {
  it('who stand come first, and everybody keeps a colour', () => {
    const people = ['c', 'a', 'b'].map((id) => ({ id, name: id }))
    const calendar = { people, stretches: [stretch('2026-03-02T00:00:00Z', '2026-03-03T00:00:00Z', ['c'])] } as unknown as RotaCalendar
    expect(rowsOf(calendar)).toEqual(['c', 'a', 'b'])
    const hues = ['a', 'b', 'c'].map((id) => hueOf(id, ['c', 'b', 'a']))
    expect(new Set(hues).size).toBe(3)
    expect(Math.min(...hues)).toBeGreaterThanOrEqual(40)
  })
})
