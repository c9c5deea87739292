/** The signals socket of a room (signaling/PROTOCOL.md, /signals/view): opens itself again until it is closed or refused. */
import { frameOf, type Frame } from './frame'
import type { Alarm, Analysis, Limits, Refusal } from './findings'
import type { Sentence, StreamInfo } from './ring'

const RETRY_MS = [300, 600, 1_200, 2_500, 5_000]
/** Frames come ten times a second and more. A TCP connection whose network is gone says nothing for minutes; a new one is there at once. */
const SILENCE_MS = 4_000
/** 44xx: the server's last word about this token or room; trying again changes nothing. */
const REFUSED = (code: number) => code >= 4400 && code < 4500 && code !== 4408

export interface LinkHandlers {
  streams(streams: StreamInfo[]): void
  /** `why`: the device's fault by which it broke off */
  ended(streamId: string, why: Sentence | null): void
  /** Why what is seen is not being kept at present; null: it is. */
  storing(trouble: Sentence | null): void
  frame(frame: Frame): void
  damaged(): void
  analysis(analysis: Analysis): void
  alarm(alarm: Alarm): void
  refused(refusal: Refusal): void
  limits(limits: Limits): void
  clock(clock: StreamClock): void
  /** Connected, being connected again, or refused for good. */
  state(state: 'up' | 'down' | 'refused'): void
}

/** session = device + offset + driftPpm / 1e6 * (device - at), seconds. */
export interface StreamClock {
  streamId: string
  at: number
  offset: number
  driftPpm: number
}

interface ViewMessage {
  type: string
  streams?: StreamInfo[]
  stream?: StreamInfo
  streamId?: string
  message?: Sentence | null
  code?: string
  detail?: string
}

function viewMessage(data: string): ViewMessage {
  try {
    return JSON.parse(data) as ViewMessage
  } catch {
    return { type: 'unreadable' }
  }
}

export class SignalLink {
  private socket: WebSocket | null = null
  private url = ''
  private closed = false
  private failures = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  private silence: ReturnType<typeof setTimeout> | undefined

  constructor(
    /** Of the page's own node, which knows where the room is if it is elsewhere. */
    private readonly home: string,
    private readonly token: string,
    private readonly handlers: LinkHandlers,
    private readonly makeSocket: (url: string) => WebSocket = (target) => new WebSocket(target),
  ) {}

  open(): void {
    if (this.closed) return
    const socket = this.makeSocket(this.url || this.home)
    this.socket = socket
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => {
      socket.send(JSON.stringify({ type: 'watch', token: this.token }))
    }
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (typeof data === 'string') this.text(data)
      else this.binary(data)
    }
    socket.onclose = ({ code }) => this.lost(code)
    this.listenFor(SILENCE_MS)
  }

  /** Waits for the answer, and from each frame on for the next one. A stream that stands still is asked for again, not for ever. */
  private listenFor(patience: number): void {
    clearTimeout(this.silence)
    this.silence = setTimeout(() => {
      const { socket } = this
      if (!socket) return
      socket.onopen = socket.onmessage = socket.onclose = null
      socket.close()
      this.lost(0)
    }, patience)
  }

  private text(data: string): void {
    const message = viewMessage(data)
    if (message.type === 'streams') {
      this.failures = 0
      clearTimeout(this.silence)
      this.handlers.state('up')
      this.handlers.storing(null)
      this.handlers.streams(message.streams ?? [])
    } else if (message.type === 'stream' && message.stream) {
      this.handlers.streams([{ ...message.stream, live: true }])
    } else if (message.type === 'ended' && message.streamId) {
      clearTimeout(this.silence)
      this.handlers.ended(message.streamId, message.message ?? null)
    } else {
      this.further(message)
    }
  }

  private further(message: ViewMessage): void {
    const told = message as unknown
    if (message.type === 'error' && message.code === 'room_elsewhere') this.moved(message.detail ?? '')
    else if (message.type === 'analysis') this.handlers.analysis(told as Analysis)
    else if (message.type === 'alarm') this.handlers.alarm(told as Alarm)
    else if (message.type === 'refused') this.handlers.refused(told as Refusal)
    else if (message.type === 'storing') this.handlers.storing(message.message ?? null)
    else if (message.type === 'limits') this.handlers.limits(told as Limits)
    else if (message.type === 'clock') this.handlers.clock(told as StreamClock)
  }

  /** Another node has the room: watch there. */
  private moved(address: string): void {
    const { socket } = this
    if (!socket || !/^https?:/.test(address)) return
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.close()
    this.lost(0)
    this.url = address.replace('http', 'ws') + new URL(this.home).pathname
  }

  /** An alarm was seen; lost with the line, it is asked for again by the person who still sees it. */
  acknowledge(id: string): void {
    this.say({ type: 'acknowledge', id })
  }

  /** What holds is what the server then tells. */
  choose({ patients, low, high }: Limits): void {
    this.say({ type: 'limits', patients, low, high })
  }

  private say(message: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message))
  }

  private binary(data: ArrayBuffer): void {
    this.listenFor(SILENCE_MS)
    if (this.closed) return
    const frame = frameOf(data)
    if (frame) this.handlers.frame(frame)
    else this.handlers.damaged()
  }

  private lost(code: number): void {
    clearTimeout(this.silence)
    if (this.closed) return
    if (REFUSED(code)) {
      this.handlers.state('refused')
      return
    }
    this.handlers.state('down')
    this.url = '' // that node may be dead
    const wait = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)] ?? 5_000
    this.failures += 1
    this.timer = setTimeout(() => this.open(), wait)
  }

  close(): void {
    this.closed = true
    clearTimeout(this.timer)
    clearTimeout(this.silence)
    this.socket?.close()
  }
}
