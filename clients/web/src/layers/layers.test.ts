import { describe, expect, it } from 'vitest'
import { fromServer, moved, newLayer, nextSlot, problemOf, withUnit, type Layer, type LayerOut } from './layers'

const layer = (changes: Partial<Layer> = {}): Layer => ({ ...newLayer([], '2026-03-02'), members: ['a'], ...changes })

describe('layers', () => {
  it('reads what the server tells', () => {
    const told = { ...layer(), handover: '08:00:00', dayStarts: '18:00:00', dayEnds: null, members: [{ id: 'a', name: '王', nameEn: 'Wang' }] } as unknown as LayerOut
    expect(fromServer(told)).toMatchObject({ handover: '08:00', dayStarts: '18:00', dayEnds: null, members: ['a'] })
  })

  it('puts a new one above those of its line', () => {
    expect(newLayer([], '2026-03-02').rank).toBe(0)
    expect(newLayer([layer({ rank: 3 }), layer({ level: 2, rank: 9 })], '2026-03-02').rank).toBe(4)
  })

  it('begins a list of shifts as a week of turns, and a turn as one unit', () => {
    const list = withUnit(layer({ members: ['a', 'b'] }), 'custom')
    expect([list.every, list.slots.map(({ member, day }) => `${member}${day}`).join(' '), problemOf(list)]).toEqual([7, 'a0 b1 a2 b3 a4 b5 a6', null])
    expect(withUnit(list, 'day').every).toBe(1)
    expect(withUnit(layer({ every: 2 }), 'week').every).toBe(2)
    expect(withUnit(layer({ members: [] }), 'custom').slots).toEqual([])
  })

  it('says what is missing', () => {
    expect(problemOf(layer())).toBeNull()
    expect(problemOf(layer({ members: [] }))).toBe('members')
    const slot = { member: 'a', day: 6, starts: '08:00', minutes: 600 }
    expect(problemOf(layer({ members: [], unit: 'custom' }))).toBe('slots')
    expect(problemOf(layer({ members: [], unit: 'custom', every: 7, slots: [slot] }))).toBeNull()
    for (const wrong of [{ member: '' }, { day: 7 }, { day: -1 }, { minutes: 0 }, { minutes: 8 * 1440 }, { starts: '' }, { day: NaN }]) {
      expect(problemOf(layer({ unit: 'custom', every: 7, slots: [slot, { ...slot, ...wrong }] }))).toBe('slot')
    }
    expect(problemOf(layer({ every: 0 }))).toBe('every')
    expect(problemOf(layer({ weekdays: [] }))).toBe('weekdays')
    expect(problemOf(layer({ dayStarts: '18:00' }))).toBe('hours')
    expect(problemOf(layer({ dayStarts: '18:00', dayEnds: '08:00' }))).toBeNull()
  })

  it('goes on with the day after the last shift', () => {
    expect(nextSlot([], 7)).toMatchObject({ member: '', day: 0 })
    expect(nextSlot([{ member: 'a', day: 6, starts: '17:00', minutes: 60 }], 7)).toEqual({ member: 'a', day: 0, starts: '17:00', minutes: 60 })
  })

  it('moves people up and down', () => {
    expect(moved(['a', 'b', 'c'], 2, -1)).toEqual(['a', 'c', 'b'])
    expect(moved(['a'], 4, 1)).toEqual(['a'])
  })
})
