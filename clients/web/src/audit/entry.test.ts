import { expect, it } from 'vitest'
import { actionKey, asked, detailPairs, noFilters } from './entry'

const known = ['audit.actions.recording_start', 'consultation.actions.start', 'consultation.actions.submit', 'consultation.steps.post']
const exists = (key: string) => known.includes(key)

it.each([
  ['recording.start', 'audit.actions.recording_start'],
  ['consultation.submit', 'consultation.actions.submit'],
  ['consultation.post', 'consultation.steps.post'],
  ['recording.submit', null],
  ['something.new', null],
])('%s is told by %s', (action, key) => expect(actionKey(action, exists)).toBe(key))

it('tells a change of state in words and leaves out what is empty', () => {
  const pairs = detailPairs({ from: 'OFFERED', to: 'ACCEPTED', version: 5, reason: '', more: { a: 1 } }, (state) => state.toLowerCase())
  expect(pairs).toEqual([['', 'offered → accepted'], ['version: ', '5'], ['more: ', '{"a":1}']])
  expect(detailPairs(null, String)).toEqual([])
  expect(detailPairs({ starts: 1_767_225_600, people: [] }, String)[0]?.[1]).toContain('2026')
  expect(detailPairs({ people: [] }, String)).toEqual([])
})

it('says keys and values in words where it has some', () => {
  const word = (key: string, value?: string) => (value === 'prc-1' ? 'Wang' : key !== 'kind' ? null : value === undefined ? 'Kind' : 'Urgent')
  expect(detailPairs({ policies: { urgent: 'x'.repeat(200) } }, String)[0]?.[1]).toHaveLength(61)
  const pairs = detailPairs({ kind: 'urgent', rung: ['prc-1', 'prc-2'], minutes: 15 }, String, word)
  expect(pairs).toEqual([['Kind: ', 'Urgent'], ['rung: ', 'Wang, prc-2'], ['minutes: ', '15']])
})

it('asks for whole days of the clinics, the last one included, and for one consult by its id', () => {
  const filters = { ...noFilters(), who: ' 王 ', what: 'refused', number: '2026-1', from: '2026-11-01', until: '2026-11-30' }
  const [from, to] = ['2026-10-31T16:00:00.000Z', '2026-11-30T16:00:00.000Z']
  expect(asked(filters, '')).toEqual({ consultationId: '', who: '王', what: 'refused', number: '2026-1', from, to })
  expect(asked(filters, 'con-1')).toMatchObject({ consultationId: 'con-1', number: '' })
  expect(asked(noFilters(), '')).toEqual({ consultationId: '', who: '', what: '', number: '', from: '', to: '' })
})
