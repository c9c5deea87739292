import type { RingPush } from '@/api/events'
import type { Consultation, PractitionerRef } from '@/api/types'

/** Data for the tests beside the sources; imported by nothing that is built. */
export const hospital = { id: 'org-1', name: '云岭县人民医院', nameEn: 'Yunling County Hospital', level: 'county' }
export const clinic = { id: 'org-2', name: '石桥村卫生室', nameEn: 'Shiqiao Village Clinic', level: 'village' }
export const doctor: PractitionerRef = { id: 'prc-village', name: '李秀兰', nameEn: 'Li Xiulan', title: '乡村医生', titleEn: 'Village doctor', organization: clinic }
export const expert: PractitionerRef = { id: 'prc-cardio1', name: '王建国', nameEn: 'Wang Jianguo', title: '主任医师', titleEn: 'Chief physician', organization: hospital }

export function consultation(changes: Partial<Consultation> = {}): Consultation {
  return {
    id: 'con-1', number: '20260101-001', kind: 'urgent', state: 'OFFERED', version: 3, specialty: 'cardiology', purpose: '胸痛两小时', summary: '突发胸痛',
    patient: { id: 'pat-1', name: '张桂花', nameEn: 'Zhang Guihua', sex: 'female', birthDate: '1958-03-02', age: 67, identifier: 'A1' },
    requester: doctor, expert: null, consent: { consult: true, recording: true, by: 'patient' }, devices: [], offers: [], seats: [], channel: null, stages: [], next: null, allowed: [],
    opinion: null, decision: null, unread: 0, roomId: 'c-con-1', recordings: [], createdAt: '2026-01-01T00:00:00Z', submittedAt: '2026-01-01T00:00:01Z',
    acceptedAt: null, startedAt: null, endedAt: null, events: [], ...changes,
  }
}

export const ringPush = (changes: Partial<RingPush> = {}): RingPush => ({
  offerId: 'off-1', consultationId: 'con-1', kind: 'urgent', specialty: { code: 'cardiology', name: { zh: '心血管内科', en: 'Cardiology' } },
  channel: null, patient: { age: 67, sex: 'female' }, from: { organization: clinic, practitioner: doctor }, purpose: '胸痛两小时',
  offeredAt: '2026-01-01T00:00:00Z', expiresAt: '2026-01-01T00:01:00Z', ring: 1, ...changes,
})
