/** What of the waiting is shown, and in which order; the same for the desk's consults and the regulator's numbers. */
import { urgencyOf } from '@/api/pace'
import type { Kind } from '@/api/types'

/** What a filter looks at. `since`: when the request was sent; `due`: when its limit ends. Milliseconds. */
export interface Row { kind: Kind; specialty: string; place: string; late: boolean; since: number; due: number | null }

export const SORTS = ['worst', 'longest', 'limit', 'place'] as const
export type Sort = (typeof SORTS)[number]
export interface Filters { kind: string; specialty: string; place: string; late: boolean; sort: Sort }
export const noFilters = (): Filters => ({ kind: '', specialty: '', place: '', late: false, sort: 'worst' })

export const isNarrowed = ({ kind, specialty, place, late }: Filters): boolean => Boolean(kind || specialty || place || late)

const fits = (row: Row, { kind, specialty, place, late }: Filters): boolean => (!kind || row.kind === kind) && (!specialty || row.specialty === specialty) && (!place || row.place === place) && (!late || row.late)

const byDue = (a: Row, b: Row): number => (a.due ?? Infinity) - (b.due ?? Infinity) || 0
const ORDERS: Record<Sort, (a: Row, b: Row) => number> = {
  worst: (a, b) => Number(b.late) - Number(a.late) || urgencyOf(a.kind) - urgencyOf(b.kind) || a.since - b.since,
  longest: (a, b) => a.since - b.since,
  limit: byDue,
  place: (a, b) => a.place.localeCompare(b.place) || byDue(a, b),
}

/** Those that are meant, in order; `row` says what of an item is looked at. */
export function chosen<T>(items: readonly T[], filters: Filters, row: (item: T) => Row): T[] {
  return items.map((item) => ({ item, row: row(item) })).filter((one) => fits(one.row, filters))
    .sort((a, b) => ORDERS[filters.sort](a.row, b.row)).map(({ item }) => item)
}

/** What there is to choose from: only what waits. */
export function offered(rows: readonly Row[]): { kinds: Kind[]; specialties: string[]; places: string[] } {
  const of = <V extends string>(values: V[]): V[] => [...new Set(values)].sort()
  return { kinds: of(rows.map(({ kind }) => kind)), specialties: of(rows.map(({ specialty }) => specialty)), places: of(rows.map(({ place }) => place)) }
}

/** The filters as `/oversight/now.csv` takes them. */
export const asked = ({ kind, specialty, place, late }: Filters): Record<string, string> => ({ kind, specialty, place, late: late ? 'true' : '' })
