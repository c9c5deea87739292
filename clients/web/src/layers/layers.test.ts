import { describe, expect, it } from 'vitest'
import { fromServer, moved, newLayer, problemOf, type Layer, type LayerOut } from './layers'

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

  it('says what is missing', () => {
    expect(problemOf(layer())).toBeNull()
    expect(problemOf(layer({ members: [] }))).toBe('members')
    expect(problemOf(layer({ members: [], unit: 'custom' }))).toBeNull()
    expect(problemOf(layer({ every: 0 }))).toBe('every')
    expect(problemOf(layer({ weekdays: [] }))).toBe('weekdays')
    expect(problemOf(layer({ dayStarts: '18:00' }))).toBe('hours')
    expect(problemOf(layer({ dayStarts: '18:00', dayEnds: '08:00' }))).toBeNull()
  })

  it('moves people up and down', () => {
    expect(moved(['a', 'b', 'c'], 2, -1)).toEqual(['a', 'c', 'b'])
    expect(moved(['a'], 4, 1)).toEqual(['a'])
  })
})
