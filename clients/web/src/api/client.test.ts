import { beforeEach, describe, expect, it, vi } from 'vitest'
import { fakeServer } from '@/testing/mount'
import { api, ApiError, query, useCredentials } from './client'

const caught = async (work: Promise<unknown>): Promise<ApiError> => {
  const error = await work.then(() => null, (reason: unknown) => reason)
  expect(error).toBeInstanceOf(ApiError)
  return error as ApiError
}

describe('the API client', () => {
  beforeEach(() => useCredentials({ token: () => 'T', renew: () => Promise.resolve(false) }))

  it('gives the server\'s own words and code', async () => {
    fakeServer({ 'GET /x': { status: 422, body: { code: 'incomplete', message: { zh: '还缺', en: 'missing' }, detail: 'purpose' } } })
    const error = await caught(api.get('/x'))
    expect([error.status, error.code, error.text.zh, error.detail, error.blame]).toEqual([422, 'incomplete', '还缺', 'purpose', 'peer'])
  })

  it('has words of its own when the server answers something else', async () => {
    globalThis.fetch = () => Promise.resolve(new Response('<html>', { status: 502 }))
    const error = await caught(api.get('/x'))
    expect([error.code, error.blame]).toEqual(['http_502', 'server'])
  })

  it('blames the network when no answer comes', async () => {
    globalThis.fetch = () => Promise.reject(new TypeError('failed'))
    expect([(await caught(api.get('/x'))).code, (await caught(api.get('/x'))).blame]).toEqual(['offline', 'network'])
  })

  it('renews the token once and asks again', async () => {
    let token = 'old'
    const renew = vi.fn(() => {
      token = 'new'
      return Promise.resolve(true)
    })
    useCredentials({ token: () => token, renew })
    globalThis.fetch = ((_: string, init: RequestInit) => Promise.resolve(
      (init.headers as Headers).get('Authorization') === 'Bearer new' ? Response.json({ fine: true }) : new Response('{}', { status: 401 }),
    )) as typeof fetch
    expect(await api.get('/x')).toEqual({ fine: true })
    expect(renew).toHaveBeenCalledTimes(1)
  })

  it('does not renew for a wrong password', async () => {
    const renew = vi.fn(() => Promise.resolve(true))
    useCredentials({ token: () => null, renew })
    fakeServer({ 'POST /auth/login': { status: 401, body: { code: 'invalid_credentials', message: { zh: '密码错误', en: 'wrong' } } } })
    expect((await caught(api.post('/auth/login', {}))).code).toBe('invalid_credentials')
    expect(renew).not.toHaveBeenCalled()
  })

  it('writes a query without what is not there', () => {
    expect(query({ q: '张 三', state: undefined, cursor: null, limit: 5, empty: '' })).toBe('?q=%E5%BC%A0+%E4%B8%89&limit=5')
    expect(query({})).toBe('')
  })
})
