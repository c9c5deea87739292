import { i18n, language, say } from '@/i18n'
import type { OrganizationRef, Text } from '@/api/types'

const UNITS: readonly [Intl.RelativeTimeFormatUnit, number][] = [['day', 86_400], ['hour', 3_600], ['minute', 60]]
const locale = () => (language() === 'zh' ? 'zh-CN' : 'en-GB')

/** `3 分钟前`, `in 2 hours`; within a minute `刚刚` (`马上` when it is to come). */
export function relative(at: number, now: number): string {
  const seconds = Math.round((at - now) / 1000)
  const format = new Intl.RelativeTimeFormat(locale(), { numeric: 'always' })
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return format.format(Math.trunc(seconds / size), unit)
  }
  return i18n.global.t(seconds > 0 ? 'ui.soon' : 'ui.justNow')
}

/** The clinics' zone, for every page, whatever the computer thinks. The server writes into the page's head when it is another than this. */
export const ZONE = document.documentElement.dataset.zone ?? 'Asia/Shanghai'

const wall = (timeZone?: string) => new Intl.DateTimeFormat('sv', { timeZone, dateStyle: 'short', timeStyle: 'short' })
const ours = wall(ZONE)

/** The reader's computer shows another time: then the zone is named beside ours. */
export const elsewhere = (): boolean => ours.format() !== wall().format()
const day = (at: number): string => ours.format(at).slice(0, 10)

/** The exact time. */
export function exact(at: number): string {
  return new Intl.DateTimeFormat(locale(), { timeZone: ZONE, dateStyle: 'medium', timeStyle: elsewhere() ? 'long' : 'medium' }).format(at)
}

/** Short time of day, with the date when it is not today. */
export function clock(at: number, now: number): string {
  return new Intl.DateTimeFormat(locale(), {
    timeZone: ZONE, ...(day(at) === day(now) ? {} : { month: 'short', day: 'numeric' }), hour: '2-digit', minute: '2-digit', ...(elsewhere() && { timeZoneName: 'short' }),
  }).format(at)
}

/** `0:07`, `12:30`, `3:05:00`; never below zero. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
  const pad = (value: number) => String(value).padStart(2, '0')
  return h > 0 ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`
}

interface Named { name?: Text | null; nameEn?: string | null }
interface Titled { title?: Text | null; titleEn?: string | null }

/** A name in the reader's language, where there is one. */
export function nameOf(it: Named | null | undefined): string {
  if (!it) return ''
  return (language() === 'en' && it.nameEn) || say(it.name)
}

/** `王建国 主任医师`. */
export function titledName(it: (Named & Titled) | null | undefined): string {
  if (!it) return ''
  const title = (language() === 'en' && it.titleEn) || say(it.title)
  return [nameOf(it), title].filter(Boolean).join(language() === 'en' ? ', ' : ' ')
}

export const placeOf = (it: { organization?: OrganizationRef | null } | null | undefined): string => nameOf(it?.organization)
