import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { fakeServer } from '@/testing/mount'
import { expert } from '@/testing/fixtures'
import { useSession } from './session'

const reply = { accessToken: 'A', expiresIn: 600, practitioner: { ...expert, roles: ['expert'], specialties: ['cardiology'] } }

describe('the session', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    setActivePinia(createPinia())
  })
  afterEach(() => vi.useRealTimers())

  it('is found again by the cookie, asking once for all who wait', async () => {
    const asked = fakeServer({ 'POST /auth/refresh': { body: reply } })
    const session = useSession()
    expect(await Promise.all([session.ensure(), session.ensure(), session.ensure()])).toEqual([true, true, true])
    expect(asked).toHaveLength(1)
    expect(session.hasRole('desk', 'expert')).toBe(true)
    expect(session.hasRole('desk')).toBe(false)
  })

  it('is none when the server knows no cookie', async () => {
    fakeServer({ 'POST /auth/refresh': { status: 401, body: { code: 'unauthenticated', message: { zh: '', en: '' } } } })
    expect(await useSession().ensure()).toBe(false)
  })

  it('renews itself before the token ends', async () => {
    const asked = fakeServer({ 'POST /auth/login': { body: reply }, 'POST /auth/refresh': { body: { ...reply, accessToken: 'B' } } })
    const session = useSession()
    await session.login('cardio1', 'x')
    await vi.advanceTimersByTimeAsync(569_000)
    expect(session.accessToken).toBe('A')
    await vi.advanceTimersByTimeAsync(2_000)
    expect(session.accessToken).toBe('B')
    expect(asked.map((each) => each.call)).toEqual(['POST /auth/login', 'POST /auth/refresh'])
  })

  it('outlives a line that is down, and ends when the server says so', async () => {
    fakeServer({ 'POST /auth/login': { body: reply } })
    const session = useSession()
    await session.login('cardio1', 'x')
    globalThis.fetch = () => Promise.reject(new TypeError('down'))
    expect(await session.refresh()).toBe(false)
    expect(session.signedIn).toBe(true)
    fakeServer({ 'POST /auth/refresh': { status: 401, body: {} } })
    expect(await session.refresh()).toBe(false)
    expect(session.signedIn).toBe(false)
  })
})
