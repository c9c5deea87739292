import { describe, expect, it } from 'vitest'
import type { Patient } from '@/api/types'
import { bodyOf, emptyForm, emptyPatient, missingIn, missingInPatient, readIdCard } from './form'

const patient: Patient = { id: 'p1', name: '张桂花', sex: 'female', birthDate: '1958-03-02', identifier: '' }
const whole = () => ({ ...emptyForm('urgent'), patient, specialty: 'cardiology', purpose: ' 胸痛 ', summary: '两小时', consent: true })

describe('a request', () => {
  it('says everything that an empty page lacks, in the page\'s order', () => {
    expect(Object.keys(missingIn(emptyForm(null)))).toEqual(['patient', 'specialty', 'purpose', 'summary', 'kind', 'consent'])
  })

  it('lacks nothing when it is whole', () => expect(missingIn(whole())).toEqual({}))

  it('takes blanks for nothing', () => expect(missingIn({ ...whole(), summary: ' \n ' })).toEqual({ summary: 'summary' }))

  it('from the green channel says which one, before it rings anybody', () => {
    const green = { ...whole(), channel: emptyForm('urgent', true).channel }
    expect(missingIn(green)).toEqual({ channel: 'channel' })
    expect(missingIn({ ...green, kind: 'routine' })).toEqual({})
    expect(missingIn({ ...green, channel: '' })).toEqual({})
    expect(bodyOf({ ...green, channel: 'stroke' })).toMatchObject({ channel: 'stroke' })
  })

  it('can be sent without a recording, never without consent', () => {
    expect(missingIn({ ...whole(), recording: false })).toEqual({})
    expect(missingIn({ ...whole(), consent: false, recording: true })).toEqual({ consent: 'consent' })
  })

  it('is sent trimmed, and submitted', () => {
    expect(bodyOf({ ...whole(), deviceIds: ['dev-ecg-1'] })).toEqual({
      kind: 'urgent', specialty: 'cardiology', patientId: 'p1', purpose: '胸痛', summary: '两小时',
      consent: { consult: true, recording: false, by: 'patient' }, deviceIds: ['dev-ecg-1'], submit: true,
    })
  })
})

describe('an identity number', () => {
  it('gives date of birth and sex', () => {
    expect(readIdCard('11010519491231002X')).toEqual({ birthDate: '1949-12-31', sex: 'female' })
    expect(readIdCard('11010519491231002x')?.birthDate).toBe('1949-12-31')
  })

  it.each(['110105194912310021', '11010519490231002X', '', '12345'])('is not %s', (text) => expect(readIdCard(text)).toBeNull())
})

describe('a new patient', () => {
  it('needs name, sex and date of birth', () => {
    expect(Object.keys(missingInPatient(emptyPatient(), '2026-01-01'))).toEqual(['name', 'sex', 'birthDate'])
  })

  it('is not born tomorrow', () => {
    const form = { ...emptyPatient(), name: '李', sex: 'male' as const, birthDate: '2026-01-02' }
    expect(missingInPatient(form, '2026-01-01')).toEqual({ birthDate: 'birthDateImpossible' })
    expect(missingInPatient(form, '2026-01-02')).toEqual({})
  })

  it('may have an identifier of another kind, but no mistyped identity number', () => {
    const form = { ...emptyPatient(), name: '李', sex: 'male' as const, birthDate: '1949-12-31' }
    expect(missingInPatient({ ...form, identifier: 'NH-0042' }, '2026-01-01')).toEqual({})
    expect(missingInPatient({ ...form, identifier: '110105194912310021' }, '2026-01-01')).toEqual({ identifier: 'identifierWrong' })
  })
})
