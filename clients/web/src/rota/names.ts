import type { PractitionerRef } from '@/api/types'
import { language } from '@/i18n'
import { nameOf } from '@/ui/format'

const locale = () => (language() === 'zh' ? 'zh-CN' : 'en-GB')

/** Names of people by their ids; an id that nobody has stands for itself. */
export function namer(people: readonly PractitionerRef[]): (id: string) => string {
  const known = new Map(people.map((one) => [one.id, one]))
  return (id) => nameOf(known.get(id)) || id
}

/** `12月3日 周四 08:00` in a zone. */
export function moment(at: number | string, zone: string): string {
  const value = typeof at === 'string' ? Date.parse(at) : at
  return new Intl.DateTimeFormat(locale(), { timeZone: zone, month: 'short', day: 'numeric', weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(value)
}

/** `08:00` in a zone. */
export function hourOf(at: number, zone: string): string {
  return new Intl.DateTimeFormat(locale(), { timeZone: zone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(at)
}

/** A date as a column's head: weekday and day, or the day alone. */
export function dayName(date: string, short: boolean): string {
  const at = Date.parse(`${date}T00:00:00Z`)
  return new Intl.DateTimeFormat(locale(), { timeZone: 'UTC', ...(short ? { day: 'numeric' } : { weekday: 'short', month: 'numeric', day: 'numeric' }) }).format(at)
}

export function monthName(date: string): string {
  return new Intl.DateTimeFormat(locale(), { timeZone: 'UTC', year: 'numeric', month: 'long' }).format(Date.parse(`${date}T00:00:00Z`))
}
