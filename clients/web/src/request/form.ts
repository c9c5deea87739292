import type { Kind, Patient, Sex } from '@/api/types'

export interface RequestForm {
  kind: Kind | null
  specialty: string
  /** The further specialties of a multidisciplinary consult. */
  members: string[]
  /** The green channel of an urgent one; null: still to be said, by whoever came for it. */
  channel: '' | 'stroke' | 'infarction' | null
  patient: Patient | null
  purpose: string
  summary: string
  deviceIds: string[]
  consent: boolean
  recording: boolean
  by: 'patient' | 'guardian'
}

export type RequestField = 'kind' | 'channel' | 'specialty' | 'members' | 'patient' | 'purpose' | 'summary' | 'consent'

/** Bounds that the server also keeps. */
export const PURPOSE_MAX = 200
export const SUMMARY_MAX = 4000

/** `green`: it begins at the green channel, so which one is asked. */
export const emptyForm = (kind: Kind | null, green = false): RequestForm => ({
  kind, specialty: '', members: [], channel: green ? null : '', patient: null, purpose: '', summary: '', deviceIds: [], consent: false, recording: false, by: 'patient',
})

/** What is missing, field by field, in the order of the page. Values are names of texts below `request.missing`. */
export function missingIn(form: RequestForm): Partial<Record<RequestField, string>> {
  const missing: Partial<Record<RequestField, string>> = {}
  if (!form.patient) missing.patient = 'patient'
  if (!form.specialty) missing.specialty = 'specialty'
  if (!form.purpose.trim()) missing.purpose = 'purpose'
  if (!form.summary.trim()) missing.summary = 'summary'
  if (!form.kind) missing.kind = 'kind'
  if (form.kind === 'urgent' && form.channel === null) missing.channel = 'channel'
  if (form.kind === 'mdt' && !form.members.some((code) => code !== form.specialty)) missing.members = 'members'
  if (!form.consent) missing.consent = 'consent'
  return missing
}

/** The body of `POST /consultations`. Call it only when nothing is missing. */
export function bodyOf(form: RequestForm) {
  return {
    kind: form.kind, specialty: form.specialty, patientId: form.patient?.id, purpose: form.purpose.trim(), summary: form.summary.trim(),
    consent: { consult: form.consent, recording: form.consent && form.recording, by: form.by }, deviceIds: form.deviceIds, submit: true,
    ...(form.kind === 'mdt' ? { members: form.members } : {}), ...(form.kind === 'urgent' && form.channel ? { channel: form.channel } : {}),
  }
}

export interface NewPatientForm { name: string; sex: Sex | null; birthDate: string; identifier: string; phone: string }
export type NewPatientField = 'name' | 'sex' | 'birthDate' | 'identifier'

export const emptyPatient = (): NewPatientForm => ({ name: '', sex: null, birthDate: '', identifier: '', phone: '' })

/** `today` is `YYYY-MM-DD`. */
export function missingInPatient(form: NewPatientForm, today: string): Partial<Record<NewPatientField, string>> {
  const missing: Partial<Record<NewPatientField, string>> = {}
  if (!form.name.trim()) missing.name = 'name'
  if (!form.sex) missing.sex = 'sex'
  if (!form.birthDate) missing.birthDate = 'birthDate'
  else if (form.birthDate > today || form.birthDate < '1880') missing.birthDate = 'birthDateImpossible'
  if (/^\d{17}[\dXx]$/.test(form.identifier.trim()) && !readIdCard(form.identifier)) missing.identifier = 'identifierWrong'
  return missing
}

const WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
const CHECKS = '10X98765432'

/**
 * What an 18-digit Chinese identity number says: date of birth and sex (GB 11643-1999: digits 7-14 the date, digit 17
 * odd for men, digit 18 the ISO 7064 MOD 11-2 check). Null when it is no such number.
 */
export function readIdCard(text: string): { birthDate: string; sex: Sex } | null {
  const digits = text.trim().toUpperCase()
  if (!/^\d{17}[\dX]$/.test(digits)) return null
  const sum = WEIGHTS.reduce((total, weight, index) => total + weight * Number(digits[index]), 0)
  if (CHECKS[sum % 11] !== digits[17]) return null
  const birthDate = `${digits.slice(6, 10)}-${digits.slice(10, 12)}-${digits.slice(12, 14)}`
  const date = new Date(`${birthDate}T00:00:00Z`)
  if (Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== birthDate) return null
  return { birthDate, sex: Number(digits[16]) % 2 === 1 ? 'male' : 'female' }
}
