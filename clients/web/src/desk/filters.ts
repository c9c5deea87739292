/** What of everything open is shown, and in which order: chosen here, done by the server. */
import type { Kind, Text } from '@/api/types'

export const WATCHES = ['unfilled', 'late', 'waiting', 'running'] as const
export type Watch = (typeof WATCHES)[number]

export const SORTS = ['worst', 'longest', 'limit', 'place'] as const
export type Sort = (typeof SORTS)[number]
export interface Place { id: string; name: Text }
/** `place`: an organization's id. */
export interface Filters { kind: string; specialty: string; place: string; late: boolean; sort: Sort }
export const noFilters = (): Filters => ({ kind: '', specialty: '', place: '', late: false, sort: 'worst' })

/** An answer of `/oversight/{desk,now}`: counts and choices are of everything open, `matched` and `items` of what was asked. */
export interface Overview<T> { counts: Record<Watch, number>; late: number; rooms: number; kinds: Kind[]; specialties: string[]; places: Place[]; matched: number; items: T[] }
export type Choices = Pick<Overview<unknown>, 'kinds' | 'specialties' | 'places'>

export const isNarrowed = ({ kind, specialty, place, late }: Filters): boolean => Boolean(kind || specialty || place || late)

/** The filters as the server takes them. */
export const asked = ({ kind, specialty, place, late, sort }: Filters): Record<string, string> => ({ kind, specialty, place, late: late ? 'true' : '', order: sort })

const kept = <T>(values: readonly T[], chosen: T | undefined): T[] => (chosen === undefined || values.includes(chosen) ? [...values] : [...values, chosen])

/** What there is to choose from, and what is chosen although the last of it has gone: a field never shows another filter than the one that holds. */
export function offered({ kinds, specialties, places }: Choices, { kind, specialty, place }: Filters, known: ReadonlyMap<string, Place>): Choices {
  const gone = places.some(({ id }) => id === place) || place === '' ? [] : [known.get(place) ?? { id: place, name: place }]
  return { kinds: kept(kinds, (kind as Kind) || undefined), specialties: kept(specialties, specialty || undefined), places: [...places, ...gone] }
}
