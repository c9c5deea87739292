import { urgencyOf } from '@/api/pace'
import type { Consultation } from '@/api/types'

export type Watch = 'unfilled' | 'late' | 'waiting' | 'running'

/** Under which heading the desk sees a consult: the alarm first, then what passed its limit, then what waits. */
export function watchOf(consultation: Consultation, now: number): Watch {
  if (consultation.state === 'UNFILLED') return 'unfilled'
  if (consultation.next && Date.parse(consultation.next.at) < now) return 'late'
  return ['SUBMITTED', 'TRIAGED', 'OFFERED', 'ESCALATED', 'RETURNED_INFO', 'SUSPENDED'].includes(consultation.state) ? 'waiting' : 'running'
}

const ORDER: readonly Watch[] = ['unfilled', 'late', 'waiting', 'running']

/** The order of the wall: worst first, then the more urgent, then who waits longest. */
export function byWorst(now: number) {
  return (a: Consultation, b: Consultation): number => ORDER.indexOf(watchOf(a, now)) - ORDER.indexOf(watchOf(b, now))
    || urgencyOf(a.kind) - urgencyOf(b.kind) || (a.submittedAt ?? a.createdAt).localeCompare(b.submittedAt ?? b.createdAt)
}
