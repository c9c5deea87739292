import { describe, expect, it } from 'vitest'
import type { RotaPush } from '@/api/events'
import { keyOf, pathOf, textOf } from './notices'

const gap: RotaPush = { kind: 'gap', id: 'ntc-1', scheduleId: 'sch-1', day: '2026-03-03' }
const swap: RotaPush = { kind: 'ask', id: 'swp-1', scheduleId: 'sch-1', day: '2026-03-03', ask: 'swap', stage: 'agreed', part: 'asker' }
const shift: RotaPush = { kind: 'handover', id: 'ntc-2', scheduleId: 'sch-1', at: '2026-03-03T00:00:00.000Z', takes: [], hands: [] }

describe('what the rota tells', () => {
  it('says of a gap once a rota, and once more when it is close by', () => {
    expect(keyOf(gap)).toBe(keyOf({ ...gap, id: 'ntc-9' }))
    expect(keyOf({ ...gap, soon: true })).not.toBe(keyOf(gap))
    expect([textOf(gap), textOf({ ...gap, soon: true })]).toEqual(['gap', 'gapSoon'])
  })

  it('says each state of a swap, to the desk what it is to do', () => {
    expect(keyOf({ ...swap, stage: 'approved' })).not.toBe(keyOf(swap))
    expect([textOf(swap), textOf({ ...swap, part: 'desk' })]).toEqual(['stages.agreed', 'stages.desk'])
  })

  it('says whether a shift begins, ends, goes on at another line, or is theirs no more', () => {
    const said = [{ takes: [1] }, { hands: [1] }, { takes: [1], hands: [2] }, {}].map((one) => textOf({ ...shift, ...one }))
    expect(said).toEqual(['shift.takes', 'shift.hands', 'shift.moves', 'shift.changed'])
  })

  it('leads to the rota, the day and the swap', () => {
    expect([pathOf(gap), pathOf(swap), pathOf({ kind: 'ask', id: 'lve-1', scheduleId: null })]).toEqual(['/rota?rota=sch-1&day=2026-03-03', '/rota?rota=sch-1&day=2026-03-03&ask=swp-1', '/rota?ask=lve-1'])
  })
})
