/** Tries one way to the server at a time, for real: a WebSocket, or a data channel whose echo must come back. */
import type { Target } from './paths'

/** A handshake over a slow and lossy line takes a few of these seconds; a firewall that is silent takes all of them. */
const PATIENCE_MS = 12_000
const ECHOES = 5
/** RFC 8841 offers need no candidates here: the server is ICE-lite and learns our addresses from the checks. */
const SDP = 'application/sdp'

export interface Outcome {
  works: boolean
  roundTripMs: number | null
  detail: string
}

export interface ProbeTools {
  fetch: typeof fetch
  peerConnection: (configuration: RTCConfiguration) => RTCPeerConnection
  socket: (url: string) => WebSocket
  now: () => number
  patienceMs: number
}

export const browserTools: ProbeTools = {
  fetch: (...given) => fetch(...given),
  peerConnection: (configuration) => new RTCPeerConnection(configuration),
  socket: (url) => new WebSocket(url),
  now: () => performance.now(),
  patienceMs: PATIENCE_MS,
}

const failed = (detail: string): Outcome => ({ works: false, roundTripMs: null, detail })

export function median(values: number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? null
}

/** Asks for a small answer some times; one of them is enough. */
export async function tryServer(tools: ProbeTools = browserTools): Promise<Outcome> {
  const roundTrips: number[] = []
  let detail = ''
  for (let asked = 0; asked < 3; asked += 1) {
    const before = tools.now()
    try {
      const reply = await tools.fetch('/healthz', { cache: 'no-store', signal: AbortSignal.timeout(tools.patienceMs) })
      if (reply.ok) roundTrips.push(tools.now() - before)
      else detail = `HTTP ${reply.status}`
    } catch (error) {
      detail = String(error)
    }
  }
  const roundTripMs = median(roundTrips)
  return roundTripMs === null ? failed(detail) : { works: true, roundTripMs: Math.round(roundTripMs), detail }
}

/** Opens Engine.IO's own handshake: its first packet says that no proxy has swallowed the upgrade. No token is needed for that. */
export function tryWebSocket(origin: URL, tools: ProbeTools = browserTools): Promise<Outcome> {
  const address = `${origin.protocol === 'https:' ? 'wss' : 'ws'}://${origin.host}/socket.io/?EIO=4&transport=websocket`
  return new Promise((resolve) => {
    const before = tools.now()
    const socket = tools.socket(address)
    const end = (outcome: Outcome) => {
      clearTimeout(timer)
      resolve(outcome)
      socket.close()
    }
    const timer = setTimeout(() => end(failed('timeout')), tools.patienceMs)
    socket.onmessage = () => end({ works: true, roundTripMs: Math.round(tools.now() - before), detail: '' })
    socket.onclose = ({ code }) => end(failed(`close ${code}`))
  })
}

/** One echo over one path. Never rejects. `token` is an account's or a room's. */
export async function tryPath(target: Target, token: string, tools: ProbeTools = browserTools): Promise<Outcome> {
  const relay = target.path === 'turn'
  const connection = tools.peerConnection({ iceServers: target.iceServers, iceTransportPolicy: relay ? 'relay' : 'all' })
  const channel = connection.createDataChannel('echo', { negotiated: true, id: 0 })
  const told: string[] = []
  connection.addEventListener('icecandidateerror', ({ errorCode, errorText }) => told.push(`${errorCode} ${errorText}`.trim()))
  let location = ''
  try {
    const opened = open(connection, channel, tools)
    opened.catch(() => undefined) // an earlier failure below is the one that is told
    await connection.setLocalDescription(await connection.createOffer())
    const reply = await tools.fetch(`/connectivity/${target.path}`, {
      method: 'POST', headers: { Authorization: `Bearer ${token}`, 'Content-Type': SDP }, body: connection.localDescription?.sdp ?? '',
      signal: AbortSignal.timeout(tools.patienceMs),
    })
    if (reply.status !== 201) return failed(`HTTP ${reply.status}`)
    location = reply.headers.get('Location') ?? ''
    await connection.setRemoteDescription({ type: 'answer', sdp: await reply.text() })
    await opened
    return { works: true, roundTripMs: await echo(channel, tools), detail: '' }
  } catch (error) {
    return failed([error instanceof Error ? error.message : String(error), ...new Set(told)].join('; '))
  } finally {
    connection.close()
    // It ends by itself; telling only makes room for the next one sooner.
    if (location) void tools.fetch(location, { method: 'DELETE', headers: { Authorization: `Bearer ${token}` } }).catch(() => undefined)
  }
}

function open(connection: RTCPeerConnection, channel: RTCDataChannel, tools: ProbeTools): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`timeout, ICE ${connection.iceConnectionState}`)), tools.patienceMs)
    const end = (settle: () => void) => {
      clearTimeout(timer)
      settle()
    }
    channel.addEventListener('open', () => end(resolve))
    channel.addEventListener('close', () => end(() => reject(new Error('closed'))))
    connection.addEventListener('iceconnectionstatechange', () => {
      if (connection.iceConnectionState === 'failed') end(() => reject(new Error('ICE failed')))
    })
  })
}

/** Median of some round trips, ms. */
async function echo(channel: RTCDataChannel, tools: ProbeTools): Promise<number | null> {
  const roundTrips: number[] = []
  for (let asked = 0; asked < ECHOES; asked += 1) {
    const before = tools.now()
    const back = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), tools.patienceMs / ECHOES)
      channel.onmessage = () => {
        clearTimeout(timer)
        resolve(true)
      }
      channel.send(`echo ${asked}`)
    })
    if (back) roundTrips.push(tools.now() - before)
  }
  const middle = median(roundTrips)
  if (middle === null) throw new Error('no echo')
  return Math.round(middle)
}
