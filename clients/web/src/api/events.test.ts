import type { Socket } from 'socket.io-client'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { EventsClient, type ConsultationPush } from './events'

/** As much of a socket as the client touches. */
class FakeSocket {
  active = false
  connects = 0
  private readonly listeners = new Map<string, (argument?: unknown) => void>()
  on(event: string, listener: (argument?: unknown) => void) { this.listeners.set(event, listener) }
  fire(event: string, argument?: unknown) { this.listeners.get(event)?.(argument) }
  connect() { this.connects += 1 }
  disconnect() { this.active = false }
  removeAllListeners() { this.listeners.clear() }
}

describe('the live line', () => {
  let socket: FakeSocket
  const renew = vi.fn(() => Promise.resolve(true))
  const client = () => new EventsClient({ token: () => 'T', renew }, () => Promise.resolve(socket as unknown as Socket))

  beforeEach(() => {
    vi.useFakeTimers()
    socket = new FakeSocket()
    renew.mockClear()
  })
  afterEach(() => vi.useRealTimers())

  it('hands pushes to those who listen, until they stop', async () => {
    const line = client()
    const seen: ConsultationPush[] = []
    const stop = line.on('consultation', (push) => seen.push(push))
    await line.start()
    socket.fire('consultation', { id: 'a', number: '1', state: 'OFFERED', version: 2 })
    stop()
    socket.fire('consultation', { id: 'b', number: '2', state: 'OFFERED', version: 2 })
    expect(seen.map((push) => push.id)).toEqual(['a'])
  })

  it('opens one socket however often it is started', async () => {
    const line = client()
    await Promise.all([line.start(), line.start()])
    expect(socket.connects).toBe(1)
  })

  it('renews the account when the server refuses, then comes back', async () => {
    const line = client()
    await line.start()
    socket.fire('connect_error', new Error('token_expired'))
    await vi.advanceTimersByTimeAsync(600)
    expect(renew).toHaveBeenCalledTimes(1)
    expect(socket.connects).toBe(2)
  })

  it('leaves a broken line to the library, which tries again by itself', async () => {
    const line = client()
    await line.start()
    socket.active = true
    socket.fire('connect_error', new Error('xhr poll error'))
    await vi.advanceTimersByTimeAsync(60_000)
    expect([renew.mock.calls.length, socket.connects]).toEqual([0, 1])
  })

  it('stays closed after stop, whatever was under way', async () => {
    const line = client()
    await line.start()
    socket.fire('connect_error', new Error('token_expired'))
    line.stop()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(socket.connects).toBe(1)
  })

  it('does not connect when stopped before the library came', async () => {
    const line = client()
    const starting = line.start()
    line.stop()
    await starting
    expect(socket.connects).toBe(0)
  })
})
