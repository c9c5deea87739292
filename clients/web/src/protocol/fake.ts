/**
 * A signaling line without a network, for tests: it records requests, answers them from a table, and lets a test play
 * the server. It implements the same interface as SocketChannel.
 */
import { FakeHandler, Device, testFakeParameters } from 'mediasoup-client'
import type { TransportOptions } from 'mediasoup-client/types'
import { Emitter } from './emitter'
import { RoomError, type WireError } from './errors'
import type { Channel, ChannelEvents } from './signaling'
import type { ConsumerInfo, JoinReply, Requests, ServerEvents, Source } from './wire'

type Answers = { [K in keyof Requests]?: (data: Requests[K][0]) => unknown }

export class FakeChannel extends Emitter<ChannelEvents> implements Channel {
  readonly sent: { name: keyof Requests; data: unknown }[] = []
  opened = 0
  checked = 0
  closed = false
  private connected = false
  private waiting: (() => void)[] = []

  constructor(readonly answers: Answers = {}) {
    super()
  }

  open(): void {
    this.opened += 1
  }

  /** The line comes up (again). */
  connect(again = false): void {
    this.connected = true
    this.emit('up', { again })
  }

  drop(final = false, error = RoomError.local('signaling_lost')): void {
    this.connected = false
    this.emit('down', { final, error })
  }

  /** The server says something. */
  say<K extends keyof ServerEvents>(name: K, payload: ServerEvents[K]): void {
    this.emit('message', { name, payload } as ChannelEvents['message'])
  }

  request<K extends keyof Requests>(name: K, data: Requests[K][0]): Promise<Requests[K][1]> {
    if (!this.connected) return Promise.reject(RoomError.local('signaling_lost', name))
    this.sent.push({ name, data })
    for (const wake of this.waiting.splice(0)) wake()
    try {
      return Promise.resolve((this.answers[name]?.(data) ?? {}) as Requests[K][1])
    } catch (error) {
      return Promise.reject(RoomError.fromWire(error as WireError))
    }
  }

  /** Resolves with the data of the first request of that name, past or future. */
  async requested<K extends keyof Requests>(name: K, nth = 1): Promise<Requests[K][0]> {
    for (;;) {
      const found = this.sent.filter((one) => one.name === name)[nth - 1]
      if (found) return found.data as Requests[K][0]
      await new Promise<void>((resolve) => this.waiting.push(resolve))
    }
  }

  check(): Promise<boolean> {
    this.checked += 1
    return Promise.resolve(this.connected)
  }

  close(): void {
    this.closed = true
    this.connected = false
  }
}

/** A mediasoup device over mediasoup-client's own fake handler: real negotiation, no WebRTC. */
export function fakeDevice(): Device {
  return new Device({ handlerFactory: FakeHandler.createFactory(testFakeParameters) })
}

export const routerCapabilities = testFakeParameters.generateRouterRtpCapabilities

function transport(): TransportOptions {
  return testFakeParameters.generateTransportRemoteParameters()
}

export function consumerInfo(id: string, peerId: string, source: Source): ConsumerInfo {
  const codecMimeType = source === 'microphone' ? 'audio/opus' : 'video/VP8'
  const options = testFakeParameters.generateConsumerRemoteParameters({ id, codecMimeType })
  const { producerId, kind, rtpParameters } = options as Required<typeof options>
  return { id, producerId, peerId, kind, type: 'simple', rtpParameters, paused: false, producerPaused: false, source }
}

export function joinReply(change: Partial<JoinReply> = {}): JoinReply {
  return {
    peerId: 'p-me',
    resumed: false,
    role: 'requester',
    grants: { publish: ['microphone', 'camera', 'screen'], subscribe: true, chat: true, chair: false, record: false, signals: ['watch'] },
    routerRtpCapabilities: routerCapabilities(),
    sendTransport: transport(),
    recvTransport: transport(),
    iceServers: [],
    peers: [],
    consumers: [],
    dataConsumers: [],
    chat: [],
    recording: { state: 'off', startedAt: null, recordingId: null },
    startedAt: 1_767_225_600,
    resumeToken: 'resume-1',
    ...change,
  }
}

/** As much of a MediaStreamTrack as producing one needs. */
export function fakeTrack(kind: 'audio' | 'video'): MediaStreamTrack & { stopped: boolean } {
  const target = new EventTarget() as MediaStreamTrack & { stopped: boolean }
  const state = { kind, id: `${kind}-1`, readyState: 'live', enabled: true, muted: false, stopped: false }
  return Object.assign(target, state, {
    stop: () => Object.assign(target, { stopped: true, readyState: 'ended' }),
    getSettings: () => ({ width: 960, height: 540 }),
    getCapabilities: () => ({}),
    getConstraints: () => ({}),
  }) as MediaStreamTrack & { stopped: boolean }
}
