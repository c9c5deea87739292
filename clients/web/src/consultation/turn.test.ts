import { describe, expect, it } from 'vitest'
import type { Kind } from '@/api/types'
import { consultation } from '@/testing/fixtures'
import { actionText, barActions, byNeed, needsReason, signable, since, turnOf, type Turn } from './turn'

const at = (state: string, ...allowed: string[]) => consultation({ state, allowed })

describe('whose turn it is', () => {
  it.each([
    ['OFFERED', ['accept', 'decline'], 'answer'],
    ['OFFERED', ['cancel'], null],
    ['ACCEPTED', ['join', 'cancel'], 'join'],
    ['IN_SESSION', ['join', 'end', 'write_opinion'], 'join'],
    ['OPINION_PENDING', ['write_opinion'], 'opinion'],
    ['RETURNED', ['acknowledge'], 'decision'],
    ['RETURNED', ['amend'], null],
    ['RETURNED_INFO', ['edit', 'submit', 'cancel'], 'information'],
    ['DRAFT', ['edit', 'submit'], 'draft'],
    ['ARCHIVED', [], null],
  ])('in %s with %j: %s', (state, allowed, turn) => expect(turnOf(at(state, ...allowed))).toBe(turn))

  it.each<[Kind, string, string[], number, Turn | null]>([
    ['diagnostic', 'ACCEPTED', ['join', 'cancel'], 0, null],
    ['diagnostic', 'ACCEPTED', ['join', 'end', 'write_opinion'], 0, 'opinion'],
    ['diagnostic', 'READY', ['join'], 0, 'join'],
    ['picture_text', 'ACCEPTED', ['post', 'end', 'write_opinion'], 0, 'opinion'],
    ['picture_text', 'ACCEPTED', ['post', 'cancel'], 1, 'message'],
    ['teaching', 'SCHEDULED', ['join', 'cancel'], 0, null],
  ])('of %s in %s with %j and %i unread: %s', (kind, state, allowed, unread, turn) => expect(turnOf(consultation({ kind, state, allowed, unread }))).toBe(turn))

  it('puts a ring before a room before a decision, whatever the urgency', () => {
    const decision = consultation({ ...at('RETURNED', 'acknowledge'), id: 'd', kind: 'urgent' })
    const room = consultation({ ...at('ACCEPTED', 'join'), id: 'r', kind: 'routine' })
    const ring = consultation({ ...at('OFFERED', 'accept'), id: 'a', kind: 'diagnostic' })
    expect([decision, room, ring].sort(byNeed).map((item) => item.id)).toEqual(['a', 'r', 'd'])
  })
})

describe('buttons', () => {
  it('are the allowed actions without a place of their own, and no others', () => {
    expect(barActions(at('ACCEPTED', 'join', 'invite_guest', 'release', 'cancel', 'write_opinion'))).toEqual(['release', 'cancel'])
    expect(barActions(at('ARCHIVED'))).toEqual([])
  })

  it('call the end of a read without a room what it is', () => {
    expect(actionText('end', 'ACCEPTED')).toBe('report')
    expect(actionText('end', 'IN_SESSION')).toBe('end')
    expect(actionText('cancel', 'ACCEPTED')).toBe('cancel')
  })

  it('end a session alone: what is read without one is signed straight away', () => {
    expect(barActions(at('IN_SESSION', 'end', 'write_opinion'))).toEqual(['end'])
    expect(barActions(at('ACCEPTED', 'end', 'release'))).toEqual(['release'])
    expect([at('ACCEPTED', 'end'), at('OPINION_PENDING'), at('IN_SESSION', 'end'), at('ACCEPTED', 'release')].map(signable)).toEqual([true, true, false, false])
  })

  it('ask for a reason where the server does', () => {
    expect(needsReason('cancel', 'OFFERED')).toBe(true)
    expect(needsReason('cancel', 'DRAFT')).toBe(false)
    expect(needsReason('offer_again', 'UNFILLED')).toBe(false)
  })
})

describe('since', () => {
  const event = (moment: string, from: string, to: string) => ({ at: moment, actor: null, action: 'x', from, to, reason: null })

  it('is the last event that moved it; a reminder in place does not count', () => {
    const events = [event('2026-01-01T00:01:00Z', 'TRIAGED', 'OFFERED'), event('2026-01-01T00:02:00Z', 'OFFERED', 'OFFERED')]
    expect(since(consultation({ events }))).toBe('2026-01-01T00:01:00Z')
  })

  it('falls back to when it was sent', () => expect(since(consultation())).toBe('2026-01-01T00:00:01Z'))
})
