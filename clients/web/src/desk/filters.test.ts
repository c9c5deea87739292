import { expect, it } from 'vitest'
import { asked, chosen, isNarrowed, noFilters, offered, type Row } from './filters'

const row = (changes: Partial<Row> = {}): Row => ({ kind: 'routine', specialty: 'cardiology', place: '石桥', late: false, since: 10, due: null, ...changes })
const rows = [row({ since: 30, place: '白水', due: 90 }), row({ kind: 'urgent', since: 20, due: 50 }), row({ late: true, since: 40, specialty: 'surgery', due: 5 }), row()]
const shown = (changes: object): number[] => chosen(rows, { ...noFilters(), ...changes }, (one) => one).map(({ since }) => since)

it('shows the worst first: late, then urgent, then who waits longest', () => expect(shown({})).toEqual([40, 20, 10, 30]))

it.each([
  [{ kind: 'urgent' }, [20]], [{ specialty: 'surgery' }, [40]], [{ place: '白水' }, [30]], [{ late: true }, [40]], [{ kind: 'urgent', late: true }, []],
  [{ sort: 'longest' }, [10, 20, 30, 40]], [{ sort: 'limit' }, [40, 20, 30, 10]], [{ sort: 'place' }, [30, 40, 20, 10]],
])('%j leaves %j', (changes, left) => expect(shown(changes)).toEqual(left))

it('offers what there is, and asks the server for the same', () => {
  expect(offered(rows)).toEqual({ kinds: ['routine', 'urgent'], specialties: ['cardiology', 'surgery'], places: ['白水', '石桥'] })
  expect([isNarrowed(noFilters()), isNarrowed({ ...noFilters(), late: true })]).toEqual([false, true])
  expect(asked({ ...noFilters(), late: true, place: '白水' })).toEqual({ kind: '', specialty: '', place: '白水', late: 'true' })
})
