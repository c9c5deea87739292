import type { Consultation } from '@/api/types'

export type Watch = 'unfilled' | 'late' | 'waiting' | 'running'

/** Under which heading the desk sees a consult: the alarm first, then what passed its limit, then what waits. */
export function watchOf(consultation: Consultation, now: number): Watch {
  if (consultation.state === 'UNFILLED') return 'unfilled'
  if (consultation.next && Date.parse(consultation.next.at) < now) return 'late'
  return ['SUBMITTED', 'TRIAGED', 'OFFERED', 'ESCALATED', 'RETURNED_INFO', 'SUSPENDED'].includes(consultation.state) ? 'waiting' : 'running'
}
