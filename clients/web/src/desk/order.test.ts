import { expect, it } from 'vitest'
import { consultation } from '@/testing/fixtures'
import { byWorst, watchOf } from './order'

const NOW = Date.parse('2026-01-01T01:00:00Z')
const next = (at: string) => ({ name: '', at, action: 'x' })

it.each([
  ['UNFILLED', '2026-01-01T02:00:00Z', 'unfilled'],
  ['OFFERED', '2026-01-01T00:59:59Z', 'late'],
  ['OFFERED', '2026-01-01T01:00:30Z', 'waiting'],
  ['IN_SESSION', '2026-01-01T01:00:30Z', 'running'],
])('%s with its limit at %s is %s', (state, at, watch) => expect(watchOf(consultation({ state, next: next(at) }), NOW)).toBe(watch))

it('puts the alarm on top, then the late, then the urgent, then who waits longest', () => {
  const sorted = [
    consultation({ id: 'young', kind: 'urgent', submittedAt: '2026-01-01T00:50:00Z' }),
    consultation({ id: 'old', kind: 'urgent', submittedAt: '2026-01-01T00:40:00Z' }),
    consultation({ id: 'routine', kind: 'routine', submittedAt: '2026-01-01T00:00:00Z' }),
    consultation({ id: 'late', kind: 'routine', next: next('2026-01-01T00:30:00Z') }),
    consultation({ id: 'alarm', kind: 'routine', state: 'UNFILLED' }),
  ].sort(byWorst(NOW))
  expect(sorted.map((item) => item.id)).toEqual(['alarm', 'late', 'old', 'young', 'routine'])
})
