import type { Transport } from 'mediasoup-client/types'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FakeChannel } from './fake'
import { Paths } from './paths'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** One transport that is connected, on a line that gives other credentials each time. */
function connected() {
  let asked = 0
  const channel = new FakeChannel({ restartIce: () => ({ iceParameters: { usernameFragment: `u${++asked}`, password: 'p' } }) })
  channel.connect()
  const used: string[] = []
  const state: { connectionState: Transport['connectionState'] } = { connectionState: 'connected' }
  const transport = Object.assign(state, {
    id: 't', closed: false,
    restartIce: ({ iceParameters }: { iceParameters: { usernameFragment: string } }) => {
      used.push(iceParameters.usernameFragment)
      return Promise.resolve()
    },
  }) as unknown as Transport
  const errors: unknown[] = []
  const paths = new Paths(channel, (error) => errors.push(error))
  paths.add(transport)
  paths.changed(transport, 'connected')
  return { channel, paths, transport, state, used, errors, asked: () => asked }
}

describe('credentials in reserve', () => {
  it('are used when the way is lost, without asking anybody, and fetched anew when signaling is back', async () => {
    const { channel, paths, used, asked, errors } = connected()
    await vi.advanceTimersByTimeAsync(2_500)
    expect(asked()).toBe(1)
    channel.drop()
    paths.networkChanged()
    await vi.advanceTimersByTimeAsync(1)
    expect(used).toEqual(['u1'])
    await vi.advanceTimersByTimeAsync(5_000)
    expect(asked()).toBe(1)
    channel.connect(true)
    paths.recheck()
    await vi.advanceTimersByTimeAsync(2_500)
    expect(asked()).toBe(2)
    expect(used).toEqual(['u1'])
    expect(errors).toEqual([])
  })

  it('are asked for when there are none', async () => {
    const { paths, used } = connected()
    paths.networkChanged()
    await vi.advanceTimersByTimeAsync(1)
    expect(used).toEqual(['u1'])
  })

  it('are not kept when a restart overtook their answer', async () => {
    const { channel, paths, used } = connected()
    let late = () => {}
    const prompt = channel.answers.restartIce
    channel.answers.restartIce = () => new Promise((resolve) => {
      late = () => resolve({ iceParameters: { usernameFragment: 'late', password: 'p' } })
    })
    await vi.advanceTimersByTimeAsync(2_500)
    channel.answers.restartIce = prompt
    paths.networkChanged()
    await vi.advanceTimersByTimeAsync(1)
    late()
    await vi.advanceTimersByTimeAsync(5_000)
    paths.networkChanged()
    await vi.advanceTimersByTimeAsync(1)
    expect(used).toEqual(['u1', 'u2'])
  })

  it('a path that came back by itself is not restarted again', async () => {
    const { channel, paths, transport, used } = connected()
    channel.drop()
    paths.changed(transport, 'disconnected')
    await vi.advanceTimersByTimeAsync(1)
    expect(used).toEqual([])
    paths.changed(transport, 'connected')
    channel.connect(true)
    paths.recheck()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(used).toEqual([])
  })

  it('nothing is left to do for what is closed', async () => {
    const { paths, asked } = connected()
    paths.close()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(asked()).toBe(0)
  })
})
