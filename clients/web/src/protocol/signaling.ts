/** The one place that knows Socket.IO: requests with acknowledgement, server events, and whether the line is up. */
import { io, type Socket } from 'socket.io-client'
import { Emitter } from './emitter'
import { RoomError, type WireError } from './errors'
import type { Reply, Requests, ServerEvents } from './wire'

/** How long an answer may take before the user is told. */
const REQUEST_TIMEOUT_MS = 10_000
/** The server keeps a lost peer for 10 s; try soon and often within that time, then less. */
const RECONNECT_DELAY_MS = 300
const RECONNECT_DELAY_MAX_MS = 3_000

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
  close(): void
}

export interface ChannelOptions {
  /** Origin of the server; empty = the page's own. */
  origin?: string
  /** Both are asked for at every (re)connection. */
  token: () => string
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
}

export class SocketChannel extends Emitter<ChannelEvents> implements Channel {
  private readonly socket: Socket
  private wasUp = false

  constructor(options: ChannelOptions) {
    super()
    this.socket = io(`${options.origin ?? ''}/room`, {
      path: '/socket.io',
      transports: ['websocket', 'polling'],
      tryAllTransports: true,
      autoConnect: false,
      // Each room is a connection of its own, so that leaving one can never cut another.
      forceNew: true,
      reconnectionDelay: RECONNECT_DELAY_MS,
      reconnectionDelayMax: RECONNECT_DELAY_MAX_MS,
      auth: (give) => {
        const resume = options.resumeToken()
        give({ token: options.token(), ...(resume ? { resume } : {}) })
      },
    })
    this.listen()
  }

  private listen(): void {
    this.socket.on('connect', () => {
      this.emit('up', { again: this.wasUp })
      this.wasUp = true
    })
    this.socket.on('disconnect', (reason) => {
      // Socket.IO does not reconnect after the server hung up on purpose.
      const final = reason === 'io server disconnect' || reason === 'io client disconnect'
      this.emit('down', { final, error: RoomError.local('signaling_lost', reason) })
    })
    this.socket.on('connect_error', (error: Error & { data?: unknown }) => {
      // `active` is false when the server refused the connection itself (a bad token): trying again changes nothing.
      const refused = !this.socket.active
      this.emit('down', { final: refused, error: refused ? refusal(error) : RoomError.local('signaling_lost', error.message) })
    })
    for (const name of Object.keys(SERVER_EVENTS) as (keyof ServerEvents)[]) {
      this.socket.on(name as string, (payload: ServerEvents[typeof name]) => {
        this.emit('message', { name, payload } as ChannelEvents['message'])
      })
    }
  }

  open(): void {
    this.socket.connect()
  }

  async request<K extends keyof Requests>(name: K, data: Requests[K][0]): Promise<Requests[K][1]> {
    let reply: Reply<Requests[K][1]>
    try {
      reply = (await this.socket.timeout(REQUEST_TIMEOUT_MS).emitWithAck(name, data)) as Reply<Requests[K][1]>
    } catch {
      throw RoomError.local('request_timeout', name)
    }
    if (!reply.ok) throw RoomError.fromWire(reply.error)
    return reply.data
  }

  close(): void {
    this.removeAll()
    this.socket.disconnect()
  }
}

function refusal(error: Error & { data?: unknown }): RoomError {
  const data = error.data as WireError | undefined
  return data?.code ? RoomError.fromWire(data) : RoomError.local('signaling_refused', error.message)
}
