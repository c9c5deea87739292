import { ZONE } from '@/ui/format'

const DAY_MS = 86_400_000

/** What the wall shows at an instant: `2026-03-02T08:00`. */
export function wallOf(at: number, zone: string): string {
  const parts = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
  }).formatToParts(at)
  const of = (type: Intl.DateTimeFormatPartTypes) => parts.find((part) => part.type === type)?.value ?? ''
  return `${of('year')}-${of('month')}-${of('day')}T${of('hour')}:${of('minute')}`
}

/** The first instant at which the wall shows `2026-03-02T08:00`; of a time that does not occur, the earlier reading. */
export function instantOf(wall: string, zone: string): number {
  const asUtc = Date.parse(`${wall}:00Z`)
  const offset = (at: number) => Date.parse(`${wallOf(at, zone)}:00Z`) - at
  const readings = [asUtc - offset(asUtc - DAY_MS), asUtc - offset(asUtc + DAY_MS)]
  const shown = readings.filter((at) => wallOf(at, zone) === wall)
  return Math.min(...(shown.length ? shown : readings))
}

/** An instant as a `datetime-local` field holds it, and back: the time of the clinics, as all pages show it. */
export const localInput = (at: number): string => wallOf(at, ZONE)
/** NaN of a field that is empty. */
export const instant = (local: string): number => (local === '' ? NaN : instantOf(local, ZONE))
