import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { doctor, ringPush as push } from '@/testing/fixtures'
import { FAREWELL_MS, useRings } from './rings'

describe('rings', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    setActivePinia(createPinia())
  })
  afterEach(() => vi.useRealTimers())

  it('are one for one offer, however often the server repeats it', () => {
    const rings = useRings()
    rings.add(push())
    rings.add(push())
    expect(rings.shown).toHaveLength(1)
  })

  it('show the more urgent first', () => {
    const rings = useRings()
    rings.add(push({ offerId: 'a', kind: 'routine' }))
    rings.add(push({ offerId: 'b', kind: 'urgent' }))
    expect(rings.shown.map((ring) => ring.offerId)).toEqual(['b', 'a'])
    expect(rings.sounding?.offerId).toBe('b')
  })

  it('fall silent at once when somebody else took it, say who, and go away', () => {
    const rings = useRings()
    rings.add(push())
    rings.end({ offerId: 'off-1', reason: 'taken', by: doctor })
    expect(rings.sounding).toBeNull()
    expect(rings.shown[0]?.ended).toEqual({ reason: 'taken', by: doctor })
    vi.advanceTimersByTime(FAREWELL_MS)
    expect(rings.shown).toEqual([])
  })

  it('fall silent when the server no longer knows of them, but not those that came meanwhile', async () => {
    const rings = useRings()
    rings.add(push({ offerId: 'over', consultationId: 'con-over' }))
    rings.add(push({ offerId: 'on', consultationId: 'con-on' }))
    await rings.confirm(() => {
      rings.add(push({ offerId: 'new', consultationId: 'con-new' }))
      return Promise.resolve([{ id: 'con-on' }])
    })
    expect(rings.rings.map((ring) => ring.offerId)).toEqual(['on', 'new'])
    await rings.confirm(() => Promise.reject(new Error('the line is down'))).catch(() => undefined)
    expect(rings.sounding).not.toBeNull()
  })

  it('ring anew when the same offer comes again after it ended', () => {
    const rings = useRings()
    rings.add(push())
    rings.end({ offerId: 'off-1', reason: 'timed_out' })
    rings.add(push())
    expect(rings.sounding?.offerId).toBe('off-1')
  })

  it('end by themselves some seconds after the limit, not before', () => {
    const rings = useRings()
    rings.add(push())
    rings.expire(Date.parse('2026-01-01T00:01:04Z'))
    expect(rings.sounding).not.toBeNull()
    rings.expire(Date.parse('2026-01-01T00:01:06Z'))
    expect(rings.shown[0]?.ended?.reason).toBe('timed_out')
  })

  it('can be put aside: silent and out of sight, also when the server repeats it and when it ends', () => {
    const rings = useRings()
    rings.add(push({ kind: 'routine' }))
    rings.putAside('off-1')
    expect([rings.sounding, rings.shown]).toEqual([null, []])
    rings.add(push({ kind: 'routine' }))
    expect(rings.shown).toEqual([])
    rings.end({ offerId: 'off-1', reason: 'taken', by: doctor })
    expect([rings.shown, rings.rings]).toEqual([[], []])
  })

  it('vanish without a word when this expert declined', () => {
    const rings = useRings()
    rings.add(push())
    rings.end({ offerId: 'off-1', reason: 'declined' })
    expect(rings.shown).toEqual([])
  })

  it('ignore the end of a ring that is not there', () => {
    const rings = useRings()
    rings.end({ offerId: 'other', reason: 'taken' })
    expect(rings.shown).toEqual([])
  })
})
