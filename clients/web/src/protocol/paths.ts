/** Keeps the ways of sound and picture open: watches both transports, and restarts ICE as soon as one is in doubt. */
import type { ConnectionState, IceParameters, Transport } from 'mediasoup-client/types'
import { lineBroke } from './errors'
import type { Channel } from './signaling'

/** Long enough for checks over a slow line; a restart before that would only throw them away. */
const RESTART_PAUSE_MS = 3_000
/** After joining there is more urgent work than the reserve. */
const RESERVE_AFTER_MS = 2_000

/** `lost`: a path that was there is gone and is being looked for. */
export type PathState = 'new' | 'up' | 'lost'

export class Paths {
  private readonly transports = new Map<string, Transport>()
  private readonly states = new Map<string, PathState>()
  private readonly restarting = new Map<string, ReturnType<typeof setTimeout> | null>()
  /** Transports whose ICE restart was asked for and has not been answered. */
  private readonly unsure = new Set<string>()
  /**
   * ICE credentials for the next restart, asked for beforehand: whatever ends a path often ends signaling too, and so a
   * restart waits for nobody. The server takes the old ones and these until these are used.
   */
  private readonly reserves = new Map<string, IceParameters>()
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>()
  private restarts = 0

  constructor(
    private readonly channel: Channel,
    private readonly fail: (error: unknown) => void,
  ) {}

  add(transport: Transport): void {
    this.transports.set(transport.id, transport)
  }

  /** Takes what the browser says of a transport. */
  changed(transport: Transport, state: ConnectionState): void {
    if (state === 'connected') {
      this.states.set(transport.id, 'up')
      this.unsure.delete(transport.id)
      this.reserveLater(transport)
    } else if (state === 'disconnected' || state === 'failed') {
      // The browser has missed answers for seconds by now; asking for a new path does not end one that comes back.
      this.states.set(transport.id, 'lost')
      void this.restart(transport.id)
    }
  }

  /** Of all ways together. */
  state(): PathState {
    const all = [...this.states.values()]
    if (all.includes('lost')) return 'lost'
    return all.includes('up') ? 'up' : 'new'
  }

  /** Asks the server for new ICE credentials and checks the path again; repeated until connected. Unknown ids are ignored. */
  async restart(transportId: string): Promise<void> {
    const transport = this.transports.get(transportId)
    if (!transport || transport.closed) return
    this.unsure.add(transportId)
    if (this.restarting.has(transportId)) return
    this.restarting.set(transportId, null)
    this.restarts += 1
    try {
      const iceParameters = this.reserves.get(transportId) ?? (await this.credentials(transportId))
      this.reserves.delete(transportId)
      if (!transport.closed) await transport.restartIce({ iceParameters })
      this.unsure.delete(transportId)
    } catch (error) {
      if (lineBroke(error)) {
        this.restarting.delete(transportId) // `recheck` asks again when signaling is back
        return
      }
      this.unsure.delete(transportId)
      this.fail(error)
    }
    if (transport.closed) return
    this.restarting.set(transportId, setTimeout(() => {
      this.restarting.delete(transportId)
      this.restartIfLost(transport)
      void this.reserve(transport)
    }, RESTART_PAUSE_MS))
  }

  private async credentials(transportId: string): Promise<IceParameters> {
    return (await this.channel.request('restartIce', { transportId })).iceParameters
  }

  private reserveLater(transport: Transport): void {
    if (this.timers.has(transport.id)) return
    this.timers.set(transport.id, setTimeout(() => {
      this.timers.delete(transport.id)
      void this.reserve(transport)
    }, RESERVE_AFTER_MS))
  }

  /** A restart under way takes what it needs itself; what fails here is asked for again by `recheck`. */
  private async reserve(transport: Transport): Promise<void> {
    const idle = transport.connectionState === 'connected' && !this.restarting.get(transport.id) && !this.unsure.has(transport.id)
    if (transport.closed || !idle || this.reserves.has(transport.id)) return
    const before = this.restarts
    try {
      const iceParameters = await this.credentials(transport.id)
      // A restart that overtook the answer has newer ones, or these very ones in use.
      if (this.restarts === before) this.reserves.set(transport.id, iceParameters)
    } catch (error) {
      if (!lineBroke(error)) this.fail(error)
    }
  }

  private restartIfLost(transport: Transport): void {
    if (transport.connectionState === 'disconnected' || transport.connectionState === 'failed') void this.restart(transport.id)
  }

  /** Other addresses than before: new paths are looked for before the old ones are missed. */
  networkChanged(): void {
    for (const transport of this.transports.values()) if (transport.connectionState !== 'new') void this.restart(transport.id)
  }

  /** After signaling came back: whatever lost its path in between tries again at once. */
  recheck(): void {
    for (const transport of this.transports.values()) {
      if (this.unsure.has(transport.id)) void this.restart(transport.id)
      else this.restartIfLost(transport)
      this.reserveLater(transport)
    }
  }

  close(): void {
    for (const timer of [...this.restarting.values(), ...this.timers.values()]) if (timer) clearTimeout(timer)
    this.restarting.clear()
    this.timers.clear()
    this.transports.clear()
  }
}
