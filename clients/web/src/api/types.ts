/** The JSON of `/api/v1`, as this client uses it. Times are ISO 8601 in UTC. */

export type Text = string | { zh: string; en: string }

export interface OrganizationRef { id: string; name: Text; nameEn?: string; level?: string }

export interface PractitionerRef { id: string; name: Text; nameEn?: string; title?: Text | null; titleEn?: string; organization?: OrganizationRef | null }

export type Role = 'village_doctor' | 'township_doctor' | 'expert' | 'desk' | 'regulator' | 'admin' | (string & {})

export interface Practitioner extends PractitionerRef { roles: Role[]; specialties: string[]; languages?: string[] }

export interface SessionReply { accessToken: string; expiresIn: number; practitioner: Practitioner }

export type Sex = 'male' | 'female' | 'unknown'
export interface Patient { id: string; name: string; nameEn?: string; sex: Sex; birthDate: string | null; identifier: string | null; phone?: string | null; age?: number | null }

export interface Device { id: string; kind: 'ecg' | 'ultrasound'; name: Text; nameEn?: string; organizationId?: string; online?: boolean }

export interface Specialty { code: string; name: Text }

export type Kind = 'urgent' | 'diagnostic' | 'routine' | 'mdt' | 'teaching' | 'guidance' | 'picture_text'

export type Action =
  | 'submit' | 'triage' | 'return_info' | 'cancel' | 'accept' | 'decline' | 'release' | 'end' | 'refer' | 'offer_again'
  | 'acknowledge' | 'amend' | 'withdraw_recording_consent' | (string & {})

export interface Consent { consult: boolean; recording: boolean; by: 'patient' | 'guardian'; at?: string | null; recordingWithdrawnAt?: string | null }

export type OfferState = 'ringing' | 'accepted' | 'declined' | 'timed_out' | 'cancelled'
export interface Offer {
  id: string; ring: number; practitioner: PractitionerRef; state: OfferState
  offeredAt: string; expiresAt: string | null; answeredAt: string | null; reason: string | null
}

/** `at`: when the system acts, or reminds; `limit`: when the time is up, or was. */
/** `limitName`: which limit it is, or was; past it, `name` says what the next reminder does. */
export interface NextTimer { name: Text; at: string; limitName: Text; limit: string; action: string }

export interface Signature { algorithm: string; publicKey: string; value: string; signedAt: string; verified: boolean }
export interface Addendum { text: string; at: string; by: PractitionerRef | null; signature?: Signature | null }
export interface Opinion {
  findings: string; conclusion: string; advice: string; followUp?: string; critical: boolean; criticalAcknowledgedAt?: string | null
  contributions?: { specialty: string; by: { id: string; name: Text; nameEn?: string }; text: string }[]; code?: string | null; state: 'draft' | 'signed'
  signature: Signature | null; addenda: Addendum[]
}

export type Outcome = 'adopted' | 'partly' | 'not'
export interface Decision { outcome?: Outcome; text: string; by: PractitionerRef | null; at: string }
export interface RecordingRef { id: string; startedAt: string; durationMs: number | null }
export interface ConsultationEvent { at: string; actor: { id: string; name: Text; nameEn?: string } | null; action: string; from: string | null; to: string | null; reason: string | null }

export interface Seat { specialty: string; state: 'open' | 'ringing' | 'taken' | 'empty'; practitioner: PractitionerRef | null; contribution: string; contributedAt: string | null }
export interface Stage { stage: string; at: string | null; by: { id: string; name: Text; nameEn?: string } | null }

export interface Consultation {
  id: string; number: string; kind: Kind; state: string; version: number
  specialty: string; purpose: string; summary: string
  patient: Patient; requester: PractitionerRef; expert: PractitionerRef | null
  consent: Consent; devices: Device[]; offers: Offer[]; seats: Seat[]; channel: string | null; stages: Stage[]; next: NextTimer | null; allowed: Action[]
  opinion: Opinion | null; decision: Decision | null; rating?: { stars: number; text: string; at: string } | null; roomId: string | null; recordings: RecordingRef[]
  /** Messages of the other side that the reader has not had on the screen. */
  unread: number
  scheduledFor?: string | null; createdAt: string; submittedAt: string | null; acceptedAt: string | null; startedAt: string | null; endedAt: string | null
  events: ConsultationEvent[]
}

export interface Page<T> { items: T[]; nextCursor: string | null }

export interface GuestLink { id: string; url?: string | null; label?: string | null; expiresAt: string; endedAt?: string | null; revokedAt?: string | null }

export interface OnCall { schedule: { id: string; name: Text } | Text; specialty: string; practitioners: PractitionerRef[]; until: string | null }

export interface AuditEntry {
  id: string | number; at: string; actor: { id: string; kind?: string; name?: Text | null; nameEn?: string | null } | null; what: string; action: string
  subjectType?: string; subjectId?: string; detail?: Record<string, unknown> | null; names?: Record<string, Text>
}
