import { expect, it } from 'vitest'
import { consultation } from '@/testing/fixtures'
import { watchOf } from './order'

const NOW = Date.parse('2026-01-01T01:00:00Z')
const next = (at: string) => ({ name: '', at, action: 'x' })

it.each([
  ['UNFILLED', '2026-01-01T02:00:00Z', 'unfilled'],
  ['OFFERED', '2026-01-01T00:59:59Z', 'late'],
  ['OFFERED', '2026-01-01T01:00:30Z', 'waiting'],
  ['IN_SESSION', '2026-01-01T01:00:30Z', 'running'],
])('%s with its limit at %s is %s', (state, at, watch) => expect(watchOf(consultation({ state, next: next(at) }), NOW)).toBe(watch))
