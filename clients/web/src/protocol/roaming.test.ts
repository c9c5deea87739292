import type { HandlerFactory } from 'mediasoup-client/types'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { connects, rank, roaming, type Scope } from './roaming'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

type Connection = typeof RTCPeerConnection

/** What browsers do with a description, as far as it matters. */
class Theirs {
  static readonly heard: string[] = []
  setRemoteDescription({ sdp }: RTCSessionDescriptionInit): Promise<void> {
    Theirs.heard.push(sdp!)
    return Promise.resolve()
  }
}

/** A page whose frames have a connection of their own, and handlers that take whatever is global. */
function page(connection: unknown, ask = () => Promise.resolve(true)) {
  const frames: { id: string; allow: string; hidden: boolean; contentWindow: unknown }[] = []
  const own = Map as unknown as Connection
  const scope = {
    RTCPeerConnection: own,
    document: {
      getElementById: (id: string) => frames.find((frame) => frame.id === id) ?? null,
      createElement: () => ({ id: '', allow: '', hidden: false, contentWindow: { RTCPeerConnection: connection } }),
      body: { append: (frame: (typeof frames)[number]) => void frames.push(frame) },
    },
  } as unknown as Scope
  const used: RTCPeerConnection[] = []
  const made = {
    name: 'Chrome111',
    getNativeRtpCapabilities: () => Promise.resolve({ codecs: [] }),
    factory: () => {
      if (used.length === 2) throw new Error('third')
      used.push(new scope.RTCPeerConnection())
    },
  } as unknown as HandlerFactory
  const build = async () => {
    const factory = roaming(made, scope, ask)
    const loaded = factory.getNativeRtpCapabilities({} as never)
    await vi.advanceTimersByTimeAsync(200)
    expect(await loaded).toEqual({ codecs: [] })
    factory.factory({} as never)
  }
  return { scope, own, used, frames, made, build }
}

function offer(credentials: string): string {
  return [
    'v=0', `a=ice-ufrag:${credentials}`,
    'a=candidate:1 1 UDP 2130706431 192.0.2.1 40000 typ host',
    'a=candidate:2 1 udp 2130706175 2001:db8::1 40000 typ host',
    'a=candidate:1 1 tcp 1518280447 192.0.2.1 40000 typ host tcptype passive',
    'a=end-of-candidates', '',
  ].join('\r\n')
}

const priorities = (sdp: string) => [...sdp.matchAll(/(?:udp|tcp) (\d+)/gi)].map((match) => Number(match[1]))

describe('roaming connections', () => {
  it('are of one frame that may use neither camera nor microphone', async () => {
    const { build, used, frames } = page(Theirs)
    await build()
    await build()
    expect(used.every((connection) => connection instanceof Theirs)).toBe(true)
    expect(frames).toHaveLength(1)
    expect(frames[0]).toMatchObject({ hidden: true, allow: "camera 'none'; microphone 'none'" })
  })

  it('leave the page its own, also when one could not be made', async () => {
    const { build, scope, own } = page(Theirs)
    await build()
    await build()
    await expect(build()).rejects.toThrow('third')
    expect(scope.RTCPeerConnection).toBe(own)
  })

  it.each([
    ['there are none', undefined, () => Promise.resolve(true)],
    ['they find no socket', Theirs, () => Promise.resolve(false)],
    ['nobody knows yet', Theirs, () => new Promise<boolean>(() => undefined)],
  ])('are the page\'s own where %s', async (_name, connection, ask) => {
    const { build, used, own } = page(connection, ask)
    await build()
    expect(used[0]).toBeInstanceOf(own)
  })

  it('rank what answers after a restart above what answered before', async () => {
    const { build, used } = page(Theirs)
    await build()
    Theirs.heard.length = 0
    for (const credentials of ['a', 'a', 'b']) await used[0]!.setRemoteDescription({ type: 'offer', sdp: offer(credentials) })
    const [first, same, restarted] = Theirs.heard.map(priorities)
    expect(same).toEqual(first)
    expect(restarted).toEqual(first!.map((priority) => priority + 1))
  })
})

describe('connects', () => {
  /** A connection that finds these protocols of candidates. */
  function finding(...protocols: string[]) {
    const closed: boolean[] = []
    class Finding {
      onicecandidate: (event: { candidate: { protocol: string } | null }) => void = () => undefined
      createDataChannel() {}
      setLocalDescription() {
        for (const protocol of protocols) this.onicecandidate({ candidate: { protocol } })
        return protocols.includes('broken') ? Promise.reject(new Error('no')) : Promise.resolve()
      }

      close() { closed.push(true) }
    }
    return { Finding: Finding as unknown as Connection, closed }
  }

  it.each([[['udp'], true], [['tcp'], false], [[], false], [['broken'], false]])('%s', async (protocols, expected) => {
    const { Finding, closed } = finding(...protocols)
    const answer = connects(Finding)
    await vi.advanceTimersByTimeAsync(3_000)
    expect(await answer).toBe(expected)
    expect(closed).toEqual([true])
  })
})

describe('rank', () => {
  it('keeps the order, below peer-reflexive candidates of ours', () => {
    for (const restarts of [0, 1, 1_000_000]) {
      const [first, second, tcp] = priorities(rank(offer('a'), restarts))
      expect(first).toBeLessThan(110 << 24)
      expect(second).toBeLessThan(first!)
      expect(tcp).toBeLessThan(80 << 24)
      expect(tcp).toBeGreaterThan(2 << 24) // direct TCP before a relay
    }
  })

  it('changes nothing else', () => {
    const kept = (sdp: string) => sdp.replace(/(udp|tcp) \d+/gi, '')
    expect(kept(rank(offer('a'), 3))).toBe(kept(offer('a')))
    expect(rank('v=0\r\na=candidate:damaged\r\n', 1)).toBe('v=0\r\na=candidate:damaged\r\n')
  })
})
