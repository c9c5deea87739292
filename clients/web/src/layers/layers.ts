/** A rota's layers as the editor holds them (`LayerIn` of /api/v1/schedules), and what is missing in one. */
import type { PractitionerRef } from '@/api/types'
import type { DayKind } from '@/rota/types'

export type Unit = 'hour' | 'day' | 'week' | 'month' | 'custom'
export interface Slot { member: string; day: number; starts: string; minutes: number }
interface Shape {
  level: number; rank: number; unit: Unit; every: number; startDate: string; handover: string; slots: Slot[]; dayKind: DayKind; weekdays: number[]
  dayStarts: string | null; dayEnds: string | null
}
export interface Layer extends Shape { members: string[] }
export interface LayerOut extends Shape { members: PractitionerRef[] }

export const UNITS: readonly Unit[] = ['hour', 'day', 'week', 'month', 'custom']
/** Shifts of a list; the server keeps the same bound. */
export const SLOTS_MAX = 400
export const DAY_KINDS: readonly DayKind[] = ['any', 'workday', 'day_off']
export const LEVELS = 5
const WEEK = [0, 1, 2, 3, 4, 5, 6]

/** Wall times come with seconds, and time fields give none. */
const short = (clock: string | null): string | null => clock?.slice(0, 5) ?? null

export function fromServer(layer: LayerOut): Layer {
  return {
    ...layer, handover: short(layer.handover) ?? '08:00', dayStarts: short(layer.dayStarts), dayEnds: short(layer.dayEnds), weekdays: [...layer.weekdays],
    slots: layer.slots.map((slot) => ({ ...slot, starts: short(slot.starts) ?? '08:00' })), members: layer.members.map(({ id }) => id),
  }
}

/** A new layer: daily turns on the first line that has none, above what stands there. */
export function newLayer(known: readonly Layer[], today: string): Layer {
  const level = 1
  const rank = Math.max(-1, ...known.filter((one) => one.level === level).map((one) => one.rank)) + 1
  return { level, rank, unit: 'day', every: 1, startDate: today, handover: '08:00', slots: [], dayKind: 'any', weekdays: [...WEEK], dayStarts: null, dayEnds: null, members: [] }
}

export type Problem = 'members' | 'every' | 'weekdays' | 'hours' | 'slots' | 'slot'

/** A shift has somebody, begins inside the cycle, and is not longer than it. */
export const slotFits = (slot: Slot, days: number): boolean => (
  slot.member !== '' && slot.starts !== '' && Number.isInteger(slot.day) && slot.day >= 0 && slot.day < days && slot.minutes > 0 && slot.minutes <= days * 1440
)

/** The next shift of a list: the day after the last one, as long as that. */
export function nextSlot(slots: readonly Slot[], days: number): Slot {
  const before = slots.at(-1)
  return before ? { ...before, day: (before.day + 1) % Math.max(1, days) } : { member: '', day: 0, starts: '08:00', minutes: 24 * 60 }
}

const A_WEEK = 7
/** Another unit: a list of shifts begins as a week of the doctors' turns, day by day, and is changed from there. */
export function withUnit(layer: Layer, unit: Unit): Layer {
  if ((unit === 'custom') === (layer.unit === 'custom')) return { ...layer, unit }
  if (unit !== 'custom') return { ...layer, unit, every: 1 }
  const turns = layer.members.length ? Array.from({ length: A_WEEK }, (_, day) => ({ member: layer.members[day % layer.members.length] ?? '', day, starts: layer.handover, minutes: 24 * 60 })) : []
  return { ...layer, unit, every: A_WEEK, slots: layer.slots.length ? layer.slots : turns }
}

/** What keeps a layer from being saved; the server checks it all again. */
export function problemOf(layer: Layer): Problem | null {
  if (!(Number.isInteger(layer.every) && layer.every >= 1)) return 'every'
  if (layer.unit === 'custom') {
    if (!layer.slots.length) return 'slots'
    if (!layer.slots.every((slot) => slotFits(slot, layer.every))) return 'slot'
  } else if (!layer.members.length) return 'members'
  if (!layer.weekdays.length) return 'weekdays'
  return (layer.dayStarts === null) === (layer.dayEnds === null) ? null : 'hours'
}

export function moved<T>(list: readonly T[], index: number, by: number): T[] {
  const changed = [...list]
  const [one] = changed.splice(index, 1)
  if (one !== undefined) changed.splice(index + by, 0, one)
  return changed
}
