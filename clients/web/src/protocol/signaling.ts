/** The one place that knows Socket.IO: requests with acknowledgement, server events, and whether the line is up. */
import { io, type Socket } from 'socket.io-client'
import { Emitter } from './emitter'
import { RoomError, type WireError } from './errors'
import type { Reply, Requests, ServerEvents } from './wire'

/** How long an answer may take before the user is told. */
const REQUEST_TIMEOUT_MS = 10_000
/** The server keeps a lost peer for 30 s: try soon and often. Nobody waits longer than this when the line comes back. */
const RECONNECT_DELAY_MS = 200
const RECONNECT_DELAY_MAX_MS = 1_000
/** The first connection may come over the worst of lines. */
const FIRST_CONNECT_MS = 10_000
/** TCP repeats its first packet after 1, 3, 7 s, so waiting longer sleeps through a line that is back; 5 round trips of 400 ms. */
const AGAIN_CONNECT_MS = 2_500
/** How long a line that is in doubt may take to answer. */
const CHECK_MS = 1_500
/** The same where media is silent too: time for a packet that TCP sends twice, or some round trips as they were. */
const URGENT_CHECK_MS = 350
const URGENT_ROUND_TRIPS = 4

export interface ChannelEvents {
  /** Connected, at first or again. */
  up: { again: boolean }
  /** Lost; reconnecting by itself unless `final`. */
  down: { final: boolean; error: RoomError }
  message: { [K in keyof ServerEvents]: { name: K; payload: ServerEvents[K] } }[keyof ServerEvents]
}

/** What RoomClient needs of a signaling line; SocketChannel in the page, FakeChannel in tests. */
export interface Channel {
  on<K extends keyof ChannelEvents>(name: K, listener: (payload: ChannelEvents[K]) => void): () => void
  open(): void
  request<K extends keyof Requests>(name: K, data: Requests[K][0]): Promise<Requests[K][1]>
  /**
   * Makes sure of the line at once: one that is up must answer, one that is down is connected anew without its pause.
   * `urgent` gives it less time, and `anew` does not even ask. Whether the line is well.
   */
  check(how?: 'urgent' | 'anew'): Promise<boolean>
  close(): void
}

export interface ChannelOptions {
  /** Both are asked for at every (re)connection. */
  token: () => string | Promise<string>
  resumeToken: () => string | null
}

const SERVER_EVENTS: Record<keyof ServerEvents, true> = {
  peerJoined: true,
  peerLeft: true,
  newConsumers: true,
  newDataConsumers: true,
  consumerClosed: true,
  consumerPaused: true,
  consumerResumed: true,
  consumerLayers: true,
  dataConsumerClosed: true,
  transportState: true,
  protocolError: true,
  producerAdded: true,
  producerPaused: true,
  producerResumed: true,
  producerClosed: true,
  chat: true,
  recording: true,
  removed: true,
  roomClosed: true,
  consumerReduced: true,
  activeSpeaker: true,
  quality: true,
}

export class SocketChannel extends Emitter<ChannelEvents> implements Channel {
  private socket: Socket
  private wasUp = false
  private checking: Promise<boolean> | null = null
  private moving: ReturnType<typeof setTimeout> | undefined
  /** Of the newest request, ms. */
  private roundTrip = CHECK_MS

  /** Of the node that has the room; empty: the page's own. */
  private origin = ''

  constructor(private readonly options: ChannelOptions) {
    super()
    this.socket = this.connection(FIRST_CONNECT_MS)
  }

  private connection(timeout: number): Socket {
    const { token, resumeToken } = this.options
    const socket = io(`${this.origin}/room`, {
      path: '/socket.io',
      transports: ['websocket', 'polling'],
      tryAllTransports: true,
      autoConnect: false,
      // Each room is a connection of its own, so that leaving one can never cut another.
      forceNew: true,
      timeout,
      reconnectionDelay: RECONNECT_DELAY_MS,
      reconnectionDelayMax: RECONNECT_DELAY_MAX_MS,
      auth: (give) => {
        const resume = resumeToken()
        const greet = (known: string) => give({ token: known, ...(resume ? { resume } : {}) })
        const given = token()
        // At once where it is known; a token that never comes leaves the line without a greeting.
        if (typeof given === 'string') greet(given)
        else given.then(greet, () => undefined)
      },
    })
    this.listen(socket)
    return socket
  }

  private listen(socket: Socket): void {
    socket.on('connect', () => {
      socket.io.timeout(AGAIN_CONNECT_MS)
      this.emit('up', { again: this.wasUp })
      this.wasUp = true
    })
    socket.on('disconnect', (reason) => {
      // Socket.IO does not reconnect after the server hung up on purpose.
      const final = reason === 'io server disconnect' || reason === 'io client disconnect'
      this.emit('down', { final, error: RoomError.local('signaling_lost', reason) })
    })
    socket.on('connect_error', (error: Error & { data?: unknown }) => {
      // `active` is false when the server refused the connection itself (a bad token): trying again changes nothing.
      const refused = !socket.active
      const why = refused ? refusal(error) : RoomError.local('signaling_lost', error.message)
      if (refused && why.code === 'room_elsewhere' && why.detail !== this.origin) return this.go(why.detail)
      this.emit('down', { final: refused, error: why })
      // The node that had the room may be dead: ours knows who has it now.
      if (!refused && this.origin) this.moving ??= setTimeout(() => this.go(''), RECONNECT_DELAY_MAX_MS)
    })
    for (const name of Object.keys(SERVER_EVENTS) as (keyof ServerEvents)[]) {
      socket.on(name as string, (payload: ServerEvents[typeof name]) => {
        this.emit('message', { name, payload } as ChannelEvents['message'])
      })
    }
  }

  private go(origin: string): void {
    clearTimeout(this.moving)
    this.moving = undefined
    this.origin = origin
    this.replace()
  }

  open(): void {
    // Socket.IO would greet the server twice on a line that is being opened already.
    if (!this.socket.active) this.socket.connect()
  }

  async request<K extends keyof Requests>(name: K, data: Requests[K][0]): Promise<Requests[K][1]> {
    const { socket } = this
    // Socket.IO would keep it and send it before the next `join`, where it is refused.
    if (!socket.connected) throw RoomError.local('signaling_lost', name)
    let reply: Reply<Requests[K][1]>
    const asked = performance.now()
    try {
      reply = (await socket.timeout(REQUEST_TIMEOUT_MS).emitWithAck(name, data)) as Reply<Requests[K][1]>
    } catch {
      throw RoomError.local(socket.connected ? 'request_timeout' : 'signaling_lost', name)
    }
    this.roundTrip = performance.now() - asked
    if (!reply.ok) throw RoomError.fromWire(reply.error)
    return reply.data
  }

  async check(how?: 'urgent' | 'anew'): Promise<boolean> {
    const { socket } = this
    if (how === 'anew' || !socket.connected) {
      if (this.wasUp) this.replace()
      return false
    }
    const urgent = Math.max(URGENT_CHECK_MS, URGENT_ROUND_TRIPS * this.roundTrip)
    this.checking ??= this.answers(socket, how === 'urgent' ? Math.min(urgent, CHECK_MS) : CHECK_MS)
    return this.checking
  }

  private async answers(socket: Socket, patience: number): Promise<boolean> {
    const asked = performance.now()
    try {
      await socket.timeout(patience).emitWithAck('stats', {})
      this.roundTrip = performance.now() - asked
      return true
    } catch {
      if (socket === this.socket) this.replace()
      return false
    } finally {
      this.checking = null
    }
  }

  /** A dead TCP connection says nothing for minutes, and a new one is there in two round trips. */
  private replace(): void {
    const old = this.socket
    const was = old.connected
    old.off()
    old.disconnect()
    this.socket = this.connection(AGAIN_CONNECT_MS)
    if (was) this.emit('down', { final: false, error: RoomError.local('signaling_lost', 'no answer') })
    this.socket.connect()
  }

  close(): void {
    clearTimeout(this.moving)
    this.removeAll()
    this.socket.disconnect()
  }
}

function refusal(error: Error & { data?: unknown }): RoomError {
  const data = error.data as WireError | undefined
  return data?.code ? RoomError.fromWire(data) : RoomError.local('signaling_refused', error.message)
}
