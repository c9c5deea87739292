import type { Socket } from 'socket.io-client'
import type { Kind, PractitionerRef, Sex, Text } from './types'

/** `alarm`: the step that wants the reader's attention. */
export interface ConsultationPush { id: string; number: string; state: string; version: number; alarm?: string }

export interface RingPush {
  offerId: string; consultationId: string; kind: Kind; channel?: string | null; specialty: { code: string; name: Text }
  patient: { age: number | null; sex: Sex }
  from: { organization: { name: Text; nameEn?: string } | Text; practitioner: PractitionerRef | Text }
  purpose: string; offeredAt: string; expiresAt: string | null; ring: number
}

export type RingEnd = 'taken' | 'cancelled' | 'timed_out' | 'declined'
export interface RingEndedPush { offerId: string; consultationId: string; reason: RingEnd; by?: PractitionerRef | Text | null }

/** A gap, a hand-over, a swap or a leave: what it is about is read again. */
/** `day`: of the rota's calendar; `part`: what the reader is to a swap or a leave; `takes`, `hands`: lines that begin and end for them at `at`. */
export interface RotaPush {
  kind: 'gap' | 'handover' | 'ask'; id: string; scheduleId?: string | null; day?: string | null; specialty?: Text; closed?: boolean
  ask?: string; stage?: string; part?: 'asker' | 'other' | 'desk'; at?: string; takes?: number[]; hands?: number[]; soon?: boolean
}

export interface Pushes {
  consultation: ConsultationPush
  ring: RingPush
  ringEnded: RingEndedPush
  rota: RotaPush
  /** A test ring: answered with a receipt. */
  testRing: { id: string }
  /** The line is up again (or for the first time): what was pushed meanwhile is lost, read again. */
  connected: undefined
  disconnected: undefined
}

const FORWARDED = ['consultation', 'ring', 'ringEnded', 'rota', 'testRing'] as const

/** Waiting times between attempts to come back. */
const RECONNECT_MIN_MS = 500
const RECONNECT_MAX_MS = 10_000

export interface EventsAccount { token(): string | null; renew(): Promise<boolean> }

/**
 * The application's pushes to this account (`/events`). It owns one socket between `start` and `stop`, comes back by
 * itself after a cut, and renews the account token when the server says that it has ended.
 */
export class EventsClient {
  private socket: Socket | null = null
  private wanted = false
  private readonly listeners = new Map<keyof Pushes, Set<(payload: never) => void>>()

  constructor(private readonly account: EventsAccount, private readonly connectSocket?: (account: EventsAccount) => Promise<Socket>) {}

  on<K extends keyof Pushes>(event: K, listener: (payload: Pushes[K]) => void): () => void {
    const known = this.listeners.get(event) ?? new Set()
    this.listeners.set(event, known.add(listener))
    return () => known.delete(listener)
  }

  async start(): Promise<void> {
    if (this.wanted) return
    this.wanted = true
    const socket = await (this.connectSocket ?? openSocket)(this.account)
    if (!this.wanted) {
      socket.disconnect()
      return
    }
    this.socket = socket
    this.listen(socket)
    socket.connect()
  }

  stop(): void {
    this.wanted = false
    this.socket?.removeAllListeners()
    this.socket?.disconnect()
    this.socket = null
  }

  private listen(socket: Socket): void {
    for (const event of FORWARDED) socket.on(event, (payload: Pushes[typeof event]) => this.emit(event, payload))
    socket.on('connect', () => this.emit('connected', undefined))
    socket.on('disconnect', (reason) => {
      this.emit('disconnected', undefined)
      // "io server disconnect" is the one end after which the library does not come back by itself.
      if (reason === 'io server disconnect') void this.reopen(socket)
    })
    socket.on('connect_error', () => {
      // `active` = the library tries again by itself; otherwise the server refused us: our token may have ended.
      if (!socket.active) void this.reopen(socket)
    })
  }

  private async reopen(socket: Socket): Promise<void> {
    const renewed = await this.account.renew()
    await new Promise((resolve) => setTimeout(resolve, renewed ? RECONNECT_MIN_MS : RECONNECT_MAX_MS))
    if (this.wanted && this.account.token() !== null) socket.connect()
  }

  private emit<K extends keyof Pushes>(event: K, payload: Pushes[K]): void {
    this.listeners.get(event)?.forEach((listener) => (listener as (payload: Pushes[K]) => void)(payload))
  }
}

async function openSocket(account: EventsAccount): Promise<Socket> {
  const { io } = await import('socket.io-client')
  return io('/events', {
    autoConnect: false,
    forceNew: true,
    transports: ['websocket', 'polling'],
    reconnectionDelay: RECONNECT_MIN_MS,
    reconnectionDelayMax: RECONNECT_MAX_MS,
    auth: (give: (data: object) => void) => give({ token: account.token() ?? '' }),
  })
}
