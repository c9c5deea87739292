import { afterEach, describe, expect, it, vi } from 'vitest'
import { signalsUrl } from './client'
import { SignalLink, type LinkHandlers } from './link'

class FakeSocket {
  sent: string[] = []
  binaryType = ''
  closed = false
  onopen: (() => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: ((event: { code: number }) => void) | null = null
  send(text: string) { this.sent.push(text) }
  close() { this.closed = true }
}

function setUp() {
  const sockets: FakeSocket[] = []
  const heard: string[] = []
  const addresses: string[] = []
  const handlers: LinkHandlers = {
    streams: (streams) => heard.push(`streams ${streams.map(({ streamId, live }) => `${streamId}:${live}`).join()}`),
    ended: (streamId, why) => heard.push(`ended ${streamId}${why ? ` ${why.en}` : ''}`),
    storing: (trouble) => heard.push(trouble ? `not stored ${trouble.en}` : 'stored'),
    frame: ({ sequence }) => heard.push(`frame ${sequence}`),
    damaged: () => heard.push('damaged'),
    analysis: ({ heartRate }) => heard.push(`analysis ${heartRate}`),
    alarm: ({ id }) => heard.push(`alarm ${id}`),
    refused: ({ id }) => heard.push(`refused ${id}`),
    limits: ({ patients, low, high }) => heard.push(`limits ${patients} ${low} ${high}`),
    clock: ({ offset }) => heard.push(`clock ${offset}`),
    state: (state) => heard.push(state),
  }
  const link = new SignalLink('ws://host/signals/view', 'token', handlers, (address) => {
    addresses.push(address)
    const socket = new FakeSocket()
    sockets.push(socket)
    return socket as unknown as WebSocket
  })
  link.open()
  return { link, sockets, heard, addresses }
}

afterEach(() => { vi.useRealTimers() })

describe('SignalLink', () => {
  it('watches with its token and hears streams come and go', () => {
    const { sockets, heard } = setUp()
    sockets[0]!.onopen!()
    expect(JSON.parse(sockets[0]!.sent[0]!)).toEqual({ type: 'watch', token: 'token' })
    const say = (message: object) => sockets[0]!.onmessage!({ data: JSON.stringify(message) })
    say({ type: 'streams', streams: [{ streamId: 'a', live: false }] })
    say({ type: 'stream', stream: { streamId: 'b' } })
    say({ type: 'ended', streamId: 'b' })
    sockets[0]!.onmessage!({ data: '{' })
    say({ type: 'ended', streamId: 'b', code: 'signal_crc', message: { zh: '损坏', en: 'damaged' } })
    say({ type: 'storing', code: 'store_full', message: { zh: '满', en: 'full' } })
    say({ type: 'storing', code: null, message: null })
    expect(heard).toEqual(['up', 'stored', 'streams a:false', 'streams b:true', 'ended b', 'ended b damaged', 'not stored full', 'stored'])
  })

  it('goes to the node that has the room', () => {
    vi.useFakeTimers()
    const { sockets, addresses, heard } = setUp()
    sockets[0]!.onmessage!({ data: JSON.stringify({ type: 'error', code: 'room_elsewhere', detail: 'https://node-a:8443' }) })
    vi.advanceTimersByTime(1_000)
    expect(addresses).toEqual(['ws://host/signals/view', 'wss://node-a:8443/signals/view'])
    sockets[1]!.onclose!({ code: 1006 }) // that one died: our own knows who has the room now
    vi.advanceTimersByTime(1_000)
    expect(addresses[2]).toBe('ws://host/signals/view')
    expect(heard).toEqual(['down', 'down'])
  })

  it('passes on what the analysis tells, and acknowledges', () => {
    vi.stubGlobal('WebSocket', { OPEN: 1 })
    const { link, sockets, heard } = setUp()
    const say = (message: object) => sockets[0]!.onmessage!({ data: JSON.stringify(message) })
    say({ type: 'analysis', streamId: 'a', heartRate: 72 })
    say({ type: 'alarm', id: 'a-1' })
    say({ type: 'refused', id: 'a-1', code: 'not_granted' })
    say({ type: 'clock', streamId: 'a', at: 1, offset: -3.25, driftPpm: 0 })
    say({ type: 'something new' })
    expect(heard).toEqual(['analysis 72', 'alarm a-1', 'refused a-1', 'clock -3.25'])
    link.acknowledge('a-1')
    expect(sockets[0]!.sent).toEqual([])
    Object.assign(sockets[0]!, { readyState: 1 })
    link.acknowledge('a-1')
    expect(JSON.parse(sockets[0]!.sent[0]!)).toEqual({ type: 'acknowledge', id: 'a-1' })
    link.close()
    vi.unstubAllGlobals()
  })

  it('survives a damaged frame', async () => {
    const { sockets, heard } = setUp()
    sockets[0]!.onmessage!({ data: new ArrayBuffer(9) })
    await expect.poll(() => heard).toEqual(['damaged'])
  })

  it('opens again when frames stop without a word, but does not press a device that is silent itself', () => {
    vi.useFakeTimers()
    const { sockets, heard, link } = setUp()
    const say = (socket: FakeSocket) => socket.onmessage!({ data: JSON.stringify({ type: 'streams', streams: [{ streamId: 'a', live: true }] }) })
    say(sockets[0]!)
    vi.advanceTimersByTime(60_000)
    expect(sockets).toHaveLength(1)
    sockets[0]!.onmessage!({ data: new ArrayBuffer(9) })
    vi.advanceTimersByTime(3_900)
    sockets[0]!.onmessage!({ data: new ArrayBuffer(9) })
    vi.advanceTimersByTime(3_900)
    expect(sockets[0]!.closed).toBe(false)
    vi.advanceTimersByTime(500)
    expect(sockets[0]!.closed).toBe(true)
    expect(sockets).toHaveLength(2)
    expect(heard).toContain('down')
    vi.advanceTimersByTime(4_700) // an attempt that nobody answers
    expect(sockets).toHaveLength(3)
    say(sockets[2]!)
    vi.advanceTimersByTime(60_000)
    expect(sockets).toHaveLength(3)
    link.close()
  })

  it('opens again after a loss, with growing patience', () => {
    vi.useFakeTimers()
    const { sockets, heard } = setUp()
    sockets[0]!.onclose!({ code: 1006 })
    expect(heard).toEqual(['down'])
    vi.advanceTimersByTime(300)
    expect(sockets).toHaveLength(2)
    sockets[1]!.onclose!({ code: 1006 })
    vi.advanceTimersByTime(300)
    expect(sockets).toHaveLength(2)
    vi.advanceTimersByTime(300)
    expect(sockets).toHaveLength(3)
  })

  it('stays away after the server refused, or after it was closed', () => {
    vi.useFakeTimers()
    const refused = setUp()
    refused.sockets[0]!.onclose!({ code: 4403 })
    const closed = setUp()
    closed.link.close()
    closed.sockets[0]!.onclose!({ code: 1006 })
    vi.advanceTimersByTime(60_000)
    expect([refused.sockets.length, closed.sockets.length]).toEqual([1, 1])
    expect(refused.heard).toEqual(['refused'])
  })

  it('uses a secure socket on a secure page', () => {
    expect(signalsUrl({ protocol: 'https:', host: 'h:8443' })).toBe('wss://h:8443/signals/view')
    expect(signalsUrl({ protocol: 'http:', host: 'h' })).toBe('ws://h/signals/view')
  })
})
