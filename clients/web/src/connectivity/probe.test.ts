import { describe, expect, it, vi } from 'vitest'
import type { Target } from './paths'
import { median, tryPath, tryServer, tryWebSocket, type ProbeTools } from './probe'

class FakeChannel extends EventTarget {
  onmessage: (() => void) | null = null
  constructor(private readonly echoes: boolean) { super() }
  send(): void { if (this.echoes) queueMicrotask(() => this.onmessage?.()) }
}

/** A connection whose channel opens once the answer is there, or whose ICE fails. */
class FakeConnection extends EventTarget {
  localDescription: { sdp: string } | null = null
  iceConnectionState = 'new'
  closed = false
  readonly channel: FakeChannel
  constructor(readonly configuration: RTCConfiguration, private readonly behaviour: 'echo' | 'mute' | 'fails' | 'silent') {
    super()
    this.channel = new FakeChannel(behaviour === 'echo')
  }
  createDataChannel() { return this.channel }
  createOffer() { return Promise.resolve({ type: 'offer', sdp: 'offer' }) }
  setLocalDescription(description: { sdp: string }) { this.localDescription = description; return Promise.resolve() }
  setRemoteDescription() {
    queueMicrotask(() => {
      if (this.behaviour === 'fails') {
        this.dispatchEvent(Object.assign(new Event('icecandidateerror'), { errorCode: 701, errorText: 'TURN unreachable' }))
        this.iceConnectionState = 'failed'
        this.dispatchEvent(new Event('iceconnectionstatechange'))
      } else if (this.behaviour !== 'silent') {
        this.channel.dispatchEvent(new Event('open'))
      }
    })
    return Promise.resolve()
  }
  close() { this.closed = true }
}

function tools(behaviour: ConstructorParameters<typeof FakeConnection>[1], status = 201) {
  let clock = 0
  const made: FakeConnection[] = []
  const fetched = vi.fn((...given: Parameters<typeof fetch>) => {
    const deleting = given[1]?.method === 'DELETE'
    return Promise.resolve(new Response(deleting ? null : 'answer', { status: deleting ? 200 : status, headers: { Location: '/connectivity/udp/1' } }))
  })
  const given: ProbeTools = {
    fetch: fetched,
    peerConnection: (configuration) => {
      const connection = new FakeConnection(configuration, behaviour)
      made.push(connection)
      return connection as unknown as RTCPeerConnection
    },
    socket: () => { throw new Error('no socket here') },
    now: () => (clock += 10),
    patienceMs: 40,
  }
  return { given, made, fetched }
}

const udp: Target = { id: 'udp', path: 'udp', iceServers: [] }
const tls: Target = { id: 'turn_tls', path: 'turn', iceServers: [{ urls: ['turns:h'] }] }

describe('tryPath', () => {
  it('works when the echo comes back, and clears up', async () => {
    const { given, made, fetched } = tools('echo')
    expect(await tryPath(udp, 'token-1', given)).toEqual({ works: true, roundTripMs: 10, detail: '' })
    expect(made[0]).toMatchObject({ closed: true, configuration: { iceTransportPolicy: 'all' } })
    expect(fetched.mock.calls.map(([url, options]) => `${options?.method} ${String(url)}`)).toEqual(['POST /connectivity/udp', 'DELETE /connectivity/udp/1'])
    expect(fetched.mock.calls[0]?.[1]).toMatchObject({ body: 'offer', headers: { 'Authorization': 'Bearer token-1', 'Content-Type': 'application/sdp' } })
  })

  it('goes by the relay only when the relay is tried, and tells what it said', async () => {
    const { given, made } = tools('fails')
    const outcome = await tryPath(tls, 't', given)
    expect(outcome).toEqual({ works: false, roundTripMs: null, detail: 'ICE failed; 701 TURN unreachable' })
    expect(made[0]?.configuration.iceTransportPolicy).toBe('relay')
  })

  it.each([
    ['silent', 201, 'timeout, ICE new'],
    ['mute', 201, 'no echo'],
    ['echo', 429, 'HTTP 429'],
  ] as const)('is blocked when %s (%i)', async (behaviour, status, detail) => {
    const { given, made } = tools(behaviour, status)
    expect(await tryPath(udp, 't', given)).toEqual({ works: false, roundTripMs: null, detail })
    expect(made[0]?.closed).toBe(true)
  })
})

describe('tryServer', () => {
  it('forgives lost questions, not wrong answers', async () => {
    const { given } = tools('echo')
    let asked = 0
    expect(await tryServer({ ...given, fetch: () => (asked++ === 0 ? Promise.reject(new TypeError('lost')) : Promise.resolve(new Response('ok'))) })).toMatchObject({ works: true })
    expect(await tryServer({ ...given, fetch: () => Promise.resolve(new Response('portal', { status: 511 })) })).toEqual({ works: false, roundTripMs: null, detail: 'HTTP 511' })
  })
})

describe('tryWebSocket', () => {
  function socket(behave: (made: { onmessage?: () => void; onclose?: (event: { code: number }) => void }) => void) {
    const { given } = tools('echo')
    const urls: string[] = []
    const made: { close: () => void; onmessage?: () => void; onclose?: (event: { code: number }) => void } = { close: () => undefined }
    return { urls, given: { ...given, socket: (url: string) => { urls.push(url); queueMicrotask(() => behave(made)); return made as unknown as WebSocket } } }
  }

  it('needs the first packet of the server, not only a connection', async () => {
    const good = socket((made) => made.onmessage?.())
    expect(await tryWebSocket(new URL('https://h:8443'), good.given)).toMatchObject({ works: true })
    expect(good.urls).toEqual(['wss://h:8443/socket.io/?EIO=4&transport=websocket'])
    expect(await tryWebSocket(new URL('http://h'), socket((made) => made.onclose?.({ code: 1006 })).given)).toEqual({ works: false, roundTripMs: null, detail: 'close 1006' })
    expect((await tryWebSocket(new URL('http://h'), socket(() => undefined).given)).detail).toBe('timeout')
  })
})

describe('median', () => {
  it.each([[[3, 1, 200], 3], [[5], 5], [[], null]] as const)('%j', (values, middle) => {
    expect(median([...values])).toBe(middle)
  })
})
