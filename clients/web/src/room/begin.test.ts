import { beforeEach, describe, expect, it, vi } from 'vitest'

const opened: string[] = []
vi.mock('@/protocol', async (original) => {
  const real = await original<typeof import('@/protocol')>()
  class Channel {
    constructor(private readonly options: { token: () => string | Promise<string> }) {}
    on() { return () => undefined }
    open() { void Promise.resolve(this.options.token()).then((token) => opened.push(token), () => opened.push('none')) }
    close() { opened.push('closed') }
    check() { /* the line is fine */ }
    request() { return new Promise(() => undefined) }
  }
  return { ...real, SocketChannel: Channel, prepareDevice: () => undefined, openMedia: () => Promise.resolve({ audio: null, video: null, error: null }) }
})

const entry = (kind: string) => ({ token: 'R', roomId: 'c-con-1', role: 'expert', expiresAt: '', consultation: { id: 'con-1', kind } })

/** The module as it runs in a page whose head has this answer. */
async function begunWith(answer: Promise<unknown> | null) {
  vi.resetModules()
  opened.length = 0
  window.hzHead = answer ? { room: { id: 'con-1', entry: answer } } : undefined
  return await import('./begin')
}

describe('the join before the framework', () => {
  beforeEach(() => sessionStorage.clear())

  it('goes straight into an urgent room, over the line that was opened before the token came', async () => {
    const { takeBegun } = await begunWith(Promise.resolve(entry('urgent')))
    const begun = takeBegun('con-1')
    expect((await begun?.reply)?.token).toBe('R')
    expect(begun?.client?.snapshot().phase).toBe('joining')
    expect(opened).toEqual(['R', 'R'])
    expect(begun?.measuring.passed()).toEqual(['script', 'token'])
  })

  it('asks first when it is not urgent, and not again after a reload', async () => {
    const { takeBegun, rememberInside } = await begunWith(Promise.resolve(entry('routine')))
    const first = takeBegun('con-1')
    await first?.reply
    expect([first?.client, opened.includes('closed')]).toEqual([null, true])
    rememberInside('con-1')
    const second = (await begunWith(Promise.resolve(entry('routine')))).takeBegun('con-1')
    await second?.reply
    expect(second?.client).not.toBeNull()
  })

  it('leaves the page to ask again when there is no entry', async () => {
    for (const answer of [Promise.resolve(null), Promise.reject(new Error('down'))]) {
      const begun = (await begunWith(answer)).takeBegun('con-1')
      expect([await begun?.reply, begun?.client, opened.includes('R')]).toEqual([null, null, false])
    }
  })

  it('is there for its own room, once, and not without the head', async () => {
    const { takeBegun } = await begunWith(Promise.resolve(null))
    expect([takeBegun('con-2'), takeBegun('con-1') === null, takeBegun('con-1')]).toEqual([null, false, null])
    expect((await begunWith(null)).takeBegun('con-1')).toBeNull()
  })
})
