import { expect, it } from 'vitest'
import { asked, isNarrowed, noFilters, offered } from './filters'

const place = { id: 'org-1', name: '石桥' }

it('asks the server for what is chosen', () => {
  expect([isNarrowed(noFilters()), isNarrowed({ ...noFilters(), sort: 'limit' }), isNarrowed({ ...noFilters(), late: true })]).toEqual([false, false, true])
  expect(asked({ ...noFilters(), late: true, place: 'org-1' })).toEqual({ kind: '', specialty: '', place: 'org-1', late: 'true', order: 'worst' })
})

it('still offers what is chosen when the last of it has gone', () => {
  const there = { kinds: ['routine' as const], specialties: ['surgery'], places: [] }
  expect(offered(there, noFilters(), new Map())).toEqual(there)
  expect(offered(there, { ...noFilters(), kind: 'urgent', specialty: 'surgery', place: 'org-1' }, new Map([['org-1', place]])))
    .toEqual({ kinds: ['routine', 'urgent'], specialties: ['surgery'], places: [place] })
})
