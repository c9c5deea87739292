/**
 * Peer connections whose packets take the machine's way of the moment, in Chromium.
 *
 * A document that may use the camera gets a socket for each address of each interface (RFC 8828, mode 1). Such a socket dies with its
 * address, and Chromium tells of another one late: 2 s after it is there on Linux. A document that may not gets sockets bound to no address
 * (mode 2): what they send goes from Wi-Fi to 4G with the routing table. So peer connections are made by a frame that has given camera and
 * microphone away; tracks of this page work in it as they are.
 */
import type { HandlerFactory } from 'mediasoup-client/types'

const ID = 'hz-paths'
/** How long a device is kept from being ready by the question whether the frame can connect; an answer takes 20 ms. */
const PATIENCE_MS = 100
const GIVE_UP_MS = 2_000
/**
 * Type preferences below all of ours, even peer-reflexive ones, which libwebrtc ranks 110 and with TCP 80: a pair's priority goes by the lower
 * of its two candidates (RFC 8445 section 6.1.2.3), and so by the server's.
 */
const HIGHEST = { udp: 100 << 24, tcp: 70 << 24 }
const RANK_STEP = 4096

type Connection = typeof RTCPeerConnection

/** What is needed of `window`; its frames are of the same kind. */
export interface Scope {
  document: Pick<Document, 'getElementById' | 'createElement' | 'body'>
  RTCPeerConnection: Connection
}

/**
 * Gives the server's candidates in `sdp` priorities that grow with each ICE restart, in their own order. A path that answers after a restart is
 * so above the one before at once. Chromium would otherwise keep to the old one until it has been silent for 3.5 s, as the new one was found
 * from another address than it knew of: a peer-reflexive candidate, and those are ranked lower.
 */
export function rank(sdp: string, restarts: number): string {
  const pattern = /^(a=candidate:\S+ \d+ )(udp|tcp) (\d+)/gim
  const found = [...sdp.matchAll(pattern)].map((match) => Number(match[3]))
  const order = [...new Set(found)].sort((a, b) => b - a)
  return sdp.replace(pattern, (_, start: string, protocol: string, priority: string) => {
    const highest = HIGHEST[protocol.toLowerCase() as 'udp' | 'tcp']
    const lower = RANK_STEP * (1 + order.indexOf(Number(priority)))
    return `${start}${protocol} ${highest - lower + Math.min(restarts, RANK_STEP - 1)}`
  })
}

/** Counts restarts by the credentials of the server's side. */
function ranked(Plain: Connection): Connection {
  return class extends Plain {
    private credentials = ''
    private restarts = -1

    override setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void> {
      const { type, sdp = '' } = description
      const credentials = /^a=ice-ufrag:.*$/m.exec(sdp)?.[0] ?? ''
      if (credentials !== this.credentials) this.restarts += 1
      this.credentials = credentials
      return super.setRemoteDescription({ type, sdp: rank(sdp, this.restarts) })
    }
  }
}

/** The window of the document's one such frame; it stays, for whatever is made by it ends with it. */
function frameOf({ document }: Scope): Scope | null {
  let frame = document.getElementById(ID) as HTMLIFrameElement | null
  if (!frame) {
    frame = document.createElement('iframe')
    frame.id = ID
    frame.hidden = true
    frame.allow = "camera 'none'; microphone 'none'"
    document.body.append(frame)
  }
  return frame.contentWindow as unknown as Scope | null
}

const after = (delay: number) => new Promise<false>((resolve) => { setTimeout(() => resolve(false), delay) })

/**
 * Whether the frame's connections find a socket. Chromium hides their address behind a name of multicast DNS, and on a machine that has none
 * (no network but the loopback, say) no candidate ever comes.
 */
export async function connects(Plain: Connection): Promise<boolean> {
  const connection = new Plain()
  try {
    const found = new Promise<boolean>((resolve) => {
      connection.onicecandidate = ({ candidate }) => resolve(candidate?.protocol === 'udp')
    })
    connection.createDataChannel('')
    await connection.setLocalDescription()
    return await Promise.race([found, after(GIVE_UP_MS)])
  } catch {
    return false
  } finally {
    connection.close()
  }
}

/** The same handlers, on peer connections of the frame; on the page's own where the frame's are of no use. */
export function roaming(made: HandlerFactory, scope: Scope = window, ask = connects): HandlerFactory {
  const Plain = frameOf(scope)?.RTCPeerConnection
  if (!Plain) return made
  const Roaming = ranked(Plain)
  let useful = false
  const asked = ask(Plain).then((answer) => { useful = answer })
  return {
    ...made,
    getNativeRtpCapabilities: async (options) => {
      const capabilities = await made.getNativeRtpCapabilities(options)
      await Promise.race([asked, after(PATIENCE_MS)])
      return capabilities
    },
    factory: (options) => {
      if (!useful) return made.factory(options)
      const own = scope.RTCPeerConnection
      scope.RTCPeerConnection = Roaming // mediasoup-client takes it from the global scope, within this call
      try {
        return made.factory(options)
      } finally {
        scope.RTCPeerConnection = own
      }
    },
  }
}
