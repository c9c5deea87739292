import { urgencyOf } from '@/api/pace'
import type { Action, Consultation } from '@/api/types'

export const FINAL = ['CANCELLED', 'EXPIRED', 'REFERRED', 'ARCHIVED'] as const
/** What somebody still has to do something about, and what is over but for its seal. */
export const OPEN = [
  'DRAFT', 'SUBMITTED', 'RETURNED_INFO', 'TRIAGED', 'OFFERED', 'ESCALATED', 'UNFILLED', 'ACCEPTED', 'SCHEDULED', 'READY', 'IN_SESSION', 'SUSPENDED', 'OPINION_PENDING', 'SIGNED', 'RETURNED',
] as const
export const OVER = ['ACKNOWLEDGED', ...FINAL] as const
const SEARCHING = ['SUBMITTED', 'TRIAGED', 'OFFERED', 'ESCALATED']

export type Turn = 'answer' | 'join' | 'message' | 'opinion' | 'decision' | 'information' | 'draft'

type Stage = Pick<Consultation, 'state' | 'allowed'>
type Course = Stage & Pick<Consultation, 'kind' | 'unread'>

export const may = (consultation: Stage, action: Action): boolean => consultation.allowed.includes(action)
export const isFinal = (consultation: Stage): boolean => (FINAL as readonly string[]).includes(consultation.state)
export const isSearching = (consultation: Stage): boolean => SEARCHING.includes(consultation.state)

/** Whoever accepts one of these goes on into the room; the others are met at a time of their own, or without a room. */
export const roomAtOnce = (kind: string): boolean => ['urgent', 'guidance', 'routine'].includes(kind)

/** What is read and answered without a room, unless one of the two wants to talk. */
export const roomless = (kind: string): boolean => kind === 'diagnostic' || kind === 'picture_text'

/** What this consult waits for from the reader, or null when it is somebody else's turn. Only what the server allows. */
export function turnOf(consultation: Course): Turn | null {
  if (may(consultation, 'accept')) return 'answer'
  if (may(consultation, 'acknowledge')) return 'decision'
  if (consultation.state === 'OPINION_PENDING' && may(consultation, 'write_opinion')) return 'opinion'
  if (may(consultation, 'submit')) return consultation.state === 'DRAFT' ? 'draft' : 'information'
  if (consultation.unread > 0) return 'message'
  if (roomless(consultation.kind) && consultation.state === 'ACCEPTED') return may(consultation, 'write_opinion') ? 'opinion' : null
  // What is planned needs nobody before its room is open.
  if (may(consultation, 'join') && consultation.state !== 'SCHEDULED') return 'join'
  return null
}

/** Order of "needs me now": what somebody else waits for longest comes first. */
const ORDER: readonly (Turn | null)[] = ['answer', 'join', 'message', 'opinion', 'decision', 'information', 'draft', null]

export function byNeed(a: Consultation, b: Consultation): number {
  return ORDER.indexOf(turnOf(a)) - ORDER.indexOf(turnOf(b)) || urgencyOf(a.kind) - urgencyOf(b.kind) || b.createdAt.localeCompare(a.createdAt)
}

/** When the present state began: the last event that moved it. */
export function since(consultation: Consultation): string {
  const moved = [...consultation.events].reverse().find((event) => event.to !== null && event.to !== event.from)
  return moved?.at ?? consultation.submittedAt ?? consultation.createdAt
}

/** Actions that have a place of their own on the page; the action bar shows the others. */
const PLACED: readonly Action[] = [
  'accept', 'decline', 'join', 'rejoin', 'invite_guest', 'write_opinion', 'sign', 'amend', 'acknowledge', 'edit', 'submit', 'withdraw_recording_consent',
  'contribute', 'note_stage', 'attach', 'post', 'acknowledge_critical', 'rate',
]
const WITH_REASON: readonly Action[] = ['cancel', 'release', 'refer', 'return_info']

/** Before a session there is nothing to end: signing a read ends it. */
const MET = ['IN_SESSION', 'SUSPENDED']

export const barActions = (consultation: Stage): Action[] => consultation.allowed.filter((action) => !PLACED.includes(action) && (action !== 'end' || MET.includes(consultation.state)))
/** An opinion is signed after the session, or without one where the table lets it end before it began. */
export const signable = (consultation: Stage): boolean => consultation.state === 'OPINION_PENDING' || (may(consultation, 'end') && !MET.includes(consultation.state))
/** A draft may be thrown away without saying why. */
export const needsReason = (action: Action, state: string): boolean => WITH_REASON.includes(action) && !(action === 'cancel' && (state === 'DRAFT' || state === 'RETURNED_INFO'))
/** An end without a session is a report without a room. */
export const actionText = (action: Action, from: string | null): string => (action === 'end' && from !== null && !MET.includes(from) ? 'report' : action)
export const isGrave = (action: Action): boolean => ['cancel', 'refer', 'end', 'release'].includes(action)
