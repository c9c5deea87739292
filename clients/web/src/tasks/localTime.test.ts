import { describe, expect, it } from 'vitest'
import { instant, instantOf, localInput, wallOf } from './localTime'

describe('the wall of a zone', () => {
  it('goes there and back', () => {
    for (const zone of ['Asia/Shanghai', 'America/New_York', 'Australia/Lord_Howe', 'UTC']) {
      for (const wall of ['2026-03-02T08:00', '2026-07-15T00:00', '2026-12-31T23:59']) expect(wallOf(instantOf(wall, zone), zone)).toBe(wall)
    }
  })

  it('takes the first of a time that occurs twice, and the earlier reading of one that does not occur', () => {
    expect(new Date(instantOf('2026-10-25T02:30', 'Europe/Berlin')).toISOString()).toBe('2026-10-25T00:30:00.000Z')
    expect(new Date(instantOf('2026-03-29T02:30', 'Europe/Berlin')).toISOString()).toBe('2026-03-29T00:30:00.000Z')
  })
})

it('holds the time of the clinics, wherever the computer is', () => {
  const at = Date.parse('2026-11-03T00:05:00Z')
  expect(localInput(at)).toBe('2026-11-03T08:05')
  expect(instant(localInput(at))).toBe(at)
  expect(instant('')).toBeNaN()
})
