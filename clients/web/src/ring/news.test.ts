import { describe, expect, it } from 'vitest'
import type { Consultation } from '@/api/types'
import { consultation, doctor, expert } from '@/testing/fixtures'
import en from '@/reach/words/en.json'
import zh from '@/reach/words/zh.json'
import { isElsewhere, mayConcern, newsOf } from './news'

const step = (action: string, from: string, to: string, by: string | null = null) => ({ at: '2026-01-01T00:00:01Z', actor: by === null ? null : { id: by, name: by }, action, from, to, reason: null })
const told = (changes: Partial<Consultation>, reader: string, alarm?: string) => newsOf(consultation({ expert, ...changes }), alarm, reader)?.key ?? null
const opinion = { findings: 'a', conclusion: 'b', advice: '', critical: true, state: 'signed' as const, signature: null, addenda: [] }
const released = [step('accept', 'OFFERED', 'ACCEPTED', expert.id), step('no_show', 'ACCEPTED', 'ESCALATED'), step('offer', 'ESCALATED', 'OFFERED')]

describe('what is told of a consult', () => {
  it.each<[string, Partial<Consultation>, string | undefined, string | null]>([
    ['a room to go into', { state: 'ACCEPTED', kind: 'guidance' }, undefined, 'accepted'],
    ['an answer in writing', { state: 'ACCEPTED', kind: 'picture_text' }, undefined, 'thread'],
    ['a read', { state: 'ACCEPTED', kind: 'diagnostic' }, undefined, 'read'],
    ['the first ring is no news', { state: 'OFFERED', expert: null }, undefined, null],
    ['another ring is', { state: 'OFFERED', expert: null, events: released }, undefined, 'again'],
    ['an opinion', { state: 'RETURNED' }, 'return_opinion', 'returned'],
    ['a critical value', { state: 'RETURNED', opinion }, 'return_opinion', 'critical'],
    ['a critical value that nobody took note of', { state: 'RETURNED', opinion }, 'call', 'critical'],
    ['an addendum', { state: 'RETURNED', opinion }, 'amend', 'amended'],
    ['a decision that is due', { state: 'RETURNED' }, 'overdue', 'decide'],
    ['an expert who waits', { state: 'READY' }, 'no_show', 'waits'],
    ['a planned room that opens', { state: 'READY', scheduledFor: '2026-01-02T00:00:00Z' }, undefined, 'ready'],
    ['a message', { state: 'ACCEPTED', unread: 1, events: [step('post', 'ACCEPTED', 'ACCEPTED', expert.id)] }, undefined, 'message'],
    ['what one did oneself is none', { state: 'CANCELLED', events: [step('cancel', 'OFFERED', 'CANCELLED', doctor.id)] }, undefined, null],
    ['what the desk did is', { state: 'CANCELLED', events: [step('cancel', 'OFFERED', 'CANCELLED', 'prc-desk')] }, undefined, 'cancelled'],
  ])('to the requester: %s', (_, changes, alarm, key) => expect(told(changes, doctor.id, alarm)).toBe(key))

  it.each<[string, Partial<Consultation>, string | undefined, string | null]>([
    ['their own accept is no news', { state: 'ACCEPTED', events: [step('accept', 'OFFERED', 'ACCEPTED', expert.id)] }, undefined, null],
    ['a cancelled consult', { state: 'CANCELLED', events: [step('cancel', 'ACCEPTED', 'CANCELLED', doctor.id)] }, undefined, 'cancelled'],
    ['an opinion that is due', { state: 'ACCEPTED', kind: 'diagnostic' }, 'overdue', 'overdue'],
    ['a cut line', { state: 'SUSPENDED' }, 'link_lost', 'suspended'],
    ['a call to make', { state: 'SUSPENDED' }, 'telephone', 'telephone'],
    ['a message to answer, whoever moved the consult last', { unread: 2, state: 'ACCEPTED', events: [step('accept', 'OFFERED', 'ACCEPTED', expert.id), step('post', 'ACCEPTED', 'ACCEPTED', doctor.id)] }, undefined, 'message'],
    ['a consult that went to others', { expert: null, state: 'OFFERED', events: released, offers: [{ id: 'o', ring: 1, practitioner: expert, state: 'accepted', offeredAt: '', expiresAt: null, answeredAt: null, reason: null }] }, undefined, 'takenAway'],
  ])('to the expert: %s', (_, changes, alarm, key) => expect(told(changes, expert.id, alarm)).toBe(key))

  it('tells a colleague nothing, and looks at nothing for that', () => {
    expect(told({ state: 'ACCEPTED' }, 'prc-other')).toBeNull()
    const push = { id: 'con-1', number: '1', version: 4, state: 'ACCEPTED' }
    expect(mayConcern(push, consultation({ expert }), 'prc-other')).toBe(false)
    expect(mayConcern(push, consultation({ expert }), doctor.id)).toBe(true)
  })

  it('is told where it does not stand on the screen: in a room that is over, too', () => {
    expect(isElsewhere({ id: 'c', state: 'RETURNED' }, '/c/c')).toBe(false)
    expect(isElsewhere({ id: 'c', state: 'SUSPENDED' }, '/room/c')).toBe(false)
    expect(isElsewhere({ id: 'c', state: 'RETURNED' }, '/room/c')).toBe(true)
    expect(isElsewhere({ id: 'c', state: 'RETURNED' }, '/')).toBe(true)
  })

  it('has the same words in both languages', () => expect(Object.keys(en.told)).toEqual(Object.keys(zh.told)))
})
