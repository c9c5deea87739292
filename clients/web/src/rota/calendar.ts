import { instantOf } from '@/tasks/localTime'
import type { RotaCalendar, Stretch } from './types'

/** A day of a rota, in its own zone: from one hand-over to the next. Times in milliseconds since 1970. */
export interface DutyDay { date: string; starts: number; ends: number }

/** Part of a line that falls on one day. `whole`: all of the day. */
export interface Bar { level: number; people: string[]; missing: string[]; starts: number; ends: number; whole: boolean; stretch: Stretch }

const DAY_MS = 86_400_000

export function addDays(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10)
}

/** The dates of a view: seven days from a date on, or its month. */
export function datesOf(view: 'week' | 'month', date: string): string[] {
  const first = view === 'week' ? date : `${date.slice(0, 7)}-01`
  const count = view === 'week' ? 7 : new Date(Date.UTC(Number(date.slice(0, 4)), Number(date.slice(5, 7)), 0)).getUTCDate()
  return Array.from({ length: count }, (_, index) => addDays(first, index))
}

/** The view before (-1) or after (1). */
export function moved(view: 'week' | 'month', date: string, by: -1 | 1): string {
  if (view === 'week') return addDays(date, 7 * by)
  const month = new Date(Date.UTC(Number(date.slice(0, 4)), Number(date.slice(5, 7)) - 1 + by, 1))
  return month.toISOString().slice(0, 10)
}

export function dutyDays(dates: readonly string[], handover: string, zone: string): DutyDay[] {
  return dates.map((date) => ({ date, starts: instantOf(`${date}T${handover}`, zone), ends: instantOf(`${addDays(date, 1)}T${handover}`, zone) }))
}

/** Every line on one day, cut at its edges, the first line in front. */
export function barsOf(day: DutyDay, stretches: readonly Stretch[]): Bar[] {
  return stretches.flatMap((stretch) => {
    const starts = Math.max(day.starts, Date.parse(stretch.starts))
    const ends = Math.min(day.ends, Date.parse(stretch.ends))
    if (starts >= ends) return []
    return [{ level: stretch.level, people: stretch.people, missing: stretch.missing, starts, ends, whole: starts === day.starts && ends === day.ends, stretch }]
  }).sort((a, b) => a.level - b.level || a.starts - b.starts)
}

/** Everybody who stands in the view first, then the others who could: rows that do not jump while one looks. */
export function rowsOf(calendar: RotaCalendar): string[] {
  const standing = new Set(calendar.stretches.flatMap((one) => [...one.people, ...one.missing]))
  return calendar.people.map((one) => one.id).sort((a, b) => Number(standing.has(b)) - Number(standing.has(a)) || a.localeCompare(b))
}

/** A hue for each person: far apart for neighbours, and none is the red of a gap. */
export function hueOf(id: string, everybody: readonly string[]): number {
  const index = [...everybody].sort().indexOf(id)
  return 40 + ((index * 137) % 290)
}
