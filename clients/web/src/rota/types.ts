import type { PractitionerRef } from '@/api/types'

/** The JSON of rotas (`/api/v1/schedules`). Times are ISO 8601 in UTC; a rota's days are its own zone's. */
export interface ScheduleRef { id: string; name: string; nameEn: string }
export interface Schedule extends ScheduleRef { specialty: string; timeZone: string; version: number; editable: boolean; layers: { level: number; handover: string }[] }

export interface Stretch { level: number; starts: string; ends: string; people: string[]; missing: string[] }
export interface Gap { level: number; starts: string; ends: string; why: 'empty_pool' | 'away' | 'no_shift'; missing: string[]; nobody: boolean }
export interface Override { id: string; level: number; change: Change; starts: string; ends: string; who: string | null; by: string | null; madeBy: string; askId: string | null }
export type DayKind = 'any' | 'workday' | 'day_off'

export interface RotaCalendar {
  schedule: ScheduleRef; specialty: string; timeZone: string; version: number; editable: boolean; start: string; end: string
  levels: number[]; stretches: Stretch[]; gaps: Gap[]; overrides: Override[]; days: { day: string; kind: DayKind }[]; people: PractitionerRef[]
}

export type Change = 'add' | 'remove' | 'replace'
export interface OverrideDraft { level: number; change: Change; starts: string; ends: string; who: string | null; by: string | null }
export interface Difference { level: number; starts: string; ends: string; before: string[]; after: string[] }
/** `newGaps`: of the gaps there would be, those that the change makes. `twice`: on more lines at once than now; `unbroken`: longer without a break than a day and the rota's turns. */
export interface Preview {
  differences: Difference[]; newGaps: Gap[]; people: PractitionerRef[]
  twice: { person: string; starts: string; ends: string }[]; unbroken: { person: string; level: number; starts: string; ends: string }[]
}
/** Of one rota that a swap or a leave would change. */
export interface AskPreview extends Preview { schedule: ScheduleRef; timeZone: string }

export type Step = 'agree' | 'approve' | 'refuse' | 'withdraw'
export interface Piece { level: number; starts: string; ends: string }
export type Refusal = 'too_few' | 'gap' | 'two_lines' | 'too_long' | 'too_late' | 'engaged' | 'other'
export interface Ask extends Omit<Piece, 'level'> {
  id: string; ask: 'swap' | 'leave'; stage: string; version: number; scheduleId: string | null; asker: PractitionerRef; other: PractitionerRef | null
  level: number | null; back: Piece | null; reason: string; allowed: Step[]
  refusal: { by: PractitionerRef | null; why: Refusal | null; words: string } | null
}

export interface Notice { id: string; scheduleId: string; kind: 'gap' | 'handover'; level: number; starts: string; ends: string; detail: { why?: string; nobody?: boolean; people: string[] } }
