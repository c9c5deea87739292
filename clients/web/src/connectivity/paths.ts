/** What can be tried of a server, and what the results mean. Pure. */

/** `GET /api/v1/connectivity` (signaling/PROTOCOL.md, "What a network lets through"). */
export interface Offered {
  paths: { path: 'udp' | 'tcp' | 'turn' | 'websocket'; candidates: { protocol?: string; ip?: string; address?: string; port?: number }[]; urls: string[] }[]
  iceServers: RTCIceServer[]
  seconds: number
}

export type StepId = 'server' | 'websocket' | 'udp' | 'tcp' | 'turn_udp' | 'turn_tcp' | 'turn_tls'
/** `absent`: this server has no such way; `unasked`: it is told to those who are logged in only. */
export type StepState = 'waiting' | 'running' | 'works' | 'blocked' | 'absent' | 'unasked'

export interface Step {
  id: StepId
  state: StepState
  /** ms there and back, when it works */
  roundTripMs: number | null
  /** What has to be let through, such as `UDP 192.0.2.7:40000`; empty when unknown. */
  needs: string[]
  /** For the network people: what the browser said. */
  detail: string
}

/** Ways of sound and picture, best first. */
export const MEDIA: StepId[] = ['udp', 'turn_udp', 'tcp', 'turn_tcp', 'turn_tls']
const ORDER: StepId[] = ['server', 'websocket', 'udp', 'tcp', 'turn_udp', 'turn_tcp', 'turn_tls']

/** One thing to try: for `turn_*` with the one URL that it is about. */
export interface Target {
  id: StepId
  path: 'udp' | 'tcp' | 'turn'
  iceServers: RTCIceServer[]
}

/** RFC 7065: `turns:` is TLS; `?transport=` is UDP unless it says otherwise. */
export function turnKind(url: string): 'turn_udp' | 'turn_tcp' | 'turn_tls' {
  if (url.startsWith('turns:')) return 'turn_tls'
  return /[?&]transport=tcp\b/.test(url) ? 'turn_tcp' : 'turn_udp'
}

const TURN_PORT = { turn_udp: 3478, turn_tcp: 3478, turn_tls: 5349 }

/** Host and port of a TURN URL as a line for a firewall. */
function turnNeed(url: string): string {
  const kind = turnKind(url)
  const address = url.replace(/^turns?:/, '').replace(/\?.*$/, '')
  const withPort = /:\d+$/.test(address) ? address : `${address}:${TURN_PORT[kind]}`
  return `${kind === 'turn_udp' ? 'UDP' : 'TCP'} ${withPort}`
}

function turnTarget(url: string, servers: RTCIceServer[]): Target {
  const server = servers.find(({ urls }) => [urls].flat().includes(url))
  return { id: turnKind(url), path: 'turn', iceServers: [{ ...server, urls: [url] }] }
}

/** All that is to be tried with media; of several TURN URLs of one kind the first. */
export function targetsOf(offered: Offered): Target[] {
  const found = new Map<StepId, Target>()
  for (const { path, urls } of offered.paths) {
    if (path === 'udp' || path === 'tcp') found.set(path, { id: path, path, iceServers: [] })
    if (path !== 'turn') continue
    for (const url of urls) if (!found.has(turnKind(url))) found.set(turnKind(url), turnTarget(url, offered.iceServers))
  }
  return [...found.values()]
}

function needsOf(id: StepId, offered: Offered | null, origin: URL): string[] {
  const secure = origin.protocol === 'https:'
  if (id === 'server' || id === 'websocket') return [`TCP ${origin.hostname}:${origin.port || (secure ? 443 : 80)}`]
  const path = offered?.paths.find((one) => one.path === (id.startsWith('turn') ? 'turn' : id))
  if (!path) return []
  if (path.path === 'turn') return path.urls.filter((url) => turnKind(url) === id).map(turnNeed)
  const lines = path.candidates.map(({ address, ip, port }) => {
    const host = address ?? ip ?? ''
    return `${id.toUpperCase()} ${host.includes(':') ? `[${host}]` : host}:${port}`
  })
  return [...new Set(lines)]
}

/** The steps before anything was tried. `offered` is null when nobody is logged in. */
export function stepsOf(offered: Offered | null, origin: URL): Step[] {
  const there = new Set(offered ? targetsOf(offered).map(({ id }) => id) : [])
  return ORDER.map((id) => {
    const always = id === 'server' || id === 'websocket'
    const state: StepState = always || there.has(id) ? 'waiting' : offered ? 'absent' : 'unasked'
    return { id, state, roundTripMs: null, needs: needsOf(id, offered, origin), detail: '' }
  })
}

/**
 * - `good`: sound and picture go the best way. `relayed`: by UDP through the relay. `tcp`: only by TCP, which stutters on lossy lines.
 * - `no_media`: everything but sound and picture. `no_line`: no WebSocket, so no room at all. `offline`: nothing. `unknown`: not tried.
 */
export type Conclusion = 'good' | 'relayed' | 'tcp' | 'no_media' | 'no_line' | 'offline' | 'unknown'

export function conclude(steps: Step[]): Conclusion {
  const works = (id: StepId) => steps.some((step) => step.id === id && step.state === 'works')
  if (!works('server')) return 'offline'
  if (!works('websocket')) return 'no_line'
  if (works('udp')) return 'good'
  if (works('turn_udp')) return 'relayed'
  if (works('tcp') || works('turn_tcp') || works('turn_tls')) return 'tcp'
  return steps.some(({ id, state }) => MEDIA.includes(id) && state === 'blocked') ? 'no_media' : 'unknown'
}

/** What to ask the network people for, most useful first; empty when all is well. */
export function requests(steps: Step[]): { id: StepId; needs: string[] }[] {
  const conclusion = conclude(steps)
  if (conclusion === 'good') return []
  const blocked = steps.filter(({ state, needs }) => state === 'blocked' && needs.length > 0)
  if (conclusion === 'offline' || conclusion === 'no_line') return blocked.filter(({ id }) => id === 'server' || id === 'websocket')
  const wanted = conclusion === 'no_media' ? MEDIA : (['udp', 'turn_udp'] as StepId[])
  return wanted.flatMap((id) => blocked.filter((step) => step.id === id)).map(({ id, needs }) => ({ id, needs }))
}
