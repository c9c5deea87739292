/**
 * The media side of one joined peer: two mediasoup transports, what we send over one and receive over the other.
 * It lives as long as its transports do; after a rejoin as a new peer there is a new MediaSession.
 */
import type { ConnectionState, Consumer, DataConsumer, DataProducer, Device, DtlsParameters, Producer, Transport } from 'mediasoup-client/types'
import { Emitter } from './emitter'
import { produceOptions } from './encodings'
import { RoomError } from './errors'
import { Paths, type PathState } from './paths'
import type { Channel } from './signaling'
import { newestPacket, Silence, watchSilence } from './silence'
import type { ConsumerInfo, DataConsumerInfo, JoinReply, ServerEvents, Share, Source } from './wire'

export interface RemoteTrack {
  consumerId: string
  producerId: string
  peerId: string
  source: Source
  kind: 'audio' | 'video'
  track: MediaStreamTrack
  /** Its producer is paused: muted, or the camera is off. */
  paused: boolean
  /** What the server sends now: null when it sends nothing, undefined before it said anything. */
  spatialLayer: number | null | undefined
  /** How much of it our line has room for. */
  share: Share
  /** Only single pictures come, for want of room. */
  stills: boolean
}

export interface SessionEvents {
  changed: undefined
  failed: RoomError
  connected: 'send' | 'recv'
  /** A path was lost: whatever lost it may have cut signaling too. */
  doubt: undefined
  /** Nothing comes any more, though something should. */
  silent: undefined
  data: { peerId: string; label: string; payload: string | ArrayBuffer }
  ended: { source: Source }
}

interface Received {
  consumer: Consumer
  view: RemoteTrack
}

export class MediaSession extends Emitter<SessionEvents> {
  private send: Transport | null = null
  private readonly recv: Transport | null
  private readonly producers = new Map<Source, Producer>()
  private readonly received = new Map<string, Received>()
  private readonly dataReceived = new Map<string, DataConsumer>()
  private readonly expected = new Set<string>()
  private readonly paths: Paths
  /** What the server was last told of pauses; a cut may have swallowed the newest. */
  private readonly told = new Map<Source, boolean>()
  private readonly unclosed = new Set<string>()
  private readonly unconnected = new Map<string, DtlsParameters>()
  private readonly timers = new Set<ReturnType<typeof setTimeout>>()
  private readonly silence = new Silence()
  private readonly stopWatching: () => void
  private closed = false

  constructor(
    private readonly device: Device,
    private readonly channel: Channel,
    private readonly reply: JoinReply,
  ) {
    super()
    const { recvTransport, iceServers } = reply
    this.paths = new Paths(channel, (error) => this.fail(error))
    this.recv = recvTransport ? device.createRecvTransport({ ...recvTransport, iceServers }) : null
    if (this.recv) this.wire(this.recv)
    this.stopWatching = watchSilence(this.silence, () => this.newestPacket(), () => this.emit('silent', undefined))
  }

  /** Of all that should come; a clock of the browser's, see `newestPacket`. */
  private newestPacket(): number | null {
    const running = [...this.received.values()].filter(({ view }) => !view.paused && view.share !== 'paused')
    return newestPacket(running.flatMap(({ consumer }) => consumer.rtpReceiver ?? []))
  }

  /** The sending side, made when something is sent first: until then receiving has the machine to itself. */
  private sender(what: string): Transport {
    const { sendTransport, iceServers } = this.reply
    if (!sendTransport || this.closed) throw RoomError.local('not_allowed', what)
    if (!this.send) {
      this.send = this.device.createSendTransport({ ...sendTransport, iceServers })
      this.wire(this.send)
    }
    return this.send
  }

  private wire(transport: Transport): void {
    this.paths.add(transport)
    transport.on('connect', ({ dtlsParameters }, done) => {
      // Not waiting for the acknowledgement saves a round trip; the ICE check that follows takes at least as long.
      done()
      this.unconnected.set(transport.id, dtlsParameters)
      this.tellConnected(transport.id, dtlsParameters).catch(this.fail)
    })
    transport.on('produce', ({ kind, rtpParameters, appData }, done, failed) => {
      const source = appData.source as Source
      this.channel.request('produce', { transportId: transport.id, kind, rtpParameters, source }).then(done, failed)
    })
    transport.on('producedata', ({ sctpStreamParameters, label = '', protocol = '' }, done, failed) => {
      const { streamId, ordered, maxPacketLifeTime, maxRetransmits } = sctpStreamParameters
      const parameters = { streamId, ordered, maxPacketLifeTime, maxRetransmits }
      this.channel.request('produceData', { transportId: transport.id, sctpStreamParameters: parameters, label, protocol }).then(done, failed)
    })
    transport.on('connectionstatechange', (state) => this.pathChanged(transport, state))
  }

  private async tellConnected(transportId: string, dtlsParameters: DtlsParameters): Promise<void> {
    await this.channel.request('connectTransport', { transportId, dtlsParameters })
    this.unconnected.delete(transportId)
  }

  private pathChanged(transport: Transport, state: ConnectionState): void {
    this.paths.changed(transport, state)
    if (state === 'connected') this.emit('connected', transport.direction)
    if (this.paths.state() === 'lost') this.emit('doubt', undefined)
    this.emit('changed', undefined)
  }

  path(): PathState {
    return this.paths.state()
  }

  restartIce(transportId: string): void {
    void this.paths.restart(transportId)
  }

  /** Signaling was asked about a silence, and is well: the others have nothing to send. */
  silenceAnswered(): void {
    this.silence.answered()
  }

  networkChanged(): void {
    this.paths.networkChanged()
  }

  recheck(): void {
    this.paths.recheck()
  }

  private readonly fail = (error: unknown): void => {
    if (!this.closed) this.emit('failed', RoomError.from(error))
  }

  private later(delay: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer)
      action()
    }, delay)
    this.timers.add(timer)
  }

  private open(): Transport[] {
    return [this.send, this.recv].filter((transport): transport is Transport => transport !== null && !transport.closed)
  }

  // -- receiving ---------------------------------------------------------------------------------------------------

  /** Starts to receive all of them in one negotiation; with `resume` the server is told to let them run. */
  async consume(infos: ConsumerInfo[], resume: boolean): Promise<void> {
    const fresh = infos.filter((info) => !this.received.has(info.id) && !this.expected.has(info.id))
    if (!this.recv || fresh.length === 0) return
    for (const info of fresh) this.expected.add(info.id)
    const results = await Promise.allSettled(fresh.map((info) => this.consumeOne(info)))
    for (const result of results) if (result.status === 'rejected') this.fail(result.reason)
    const ids = fresh.map((info) => info.id).filter((id) => this.received.has(id))
    this.emit('changed', undefined)
    if (resume && ids.length > 0) await this.channel.request('resumeConsumers', { consumerIds: ids }).catch(this.fail)
  }

  private async consumeOne(info: ConsumerInfo): Promise<void> {
    if (!this.recv) return
    try {
      // Sound and picture of one person share a stream id, so that the browser keeps lips and voice together.
      const streamId = `${info.peerId ?? info.producerId}-${info.source === 'microphone' ? 'camera' : info.source}`
      const { id, producerId, kind, rtpParameters } = info
      const consumer = await this.recv.consume({ id, producerId, kind, rtpParameters, streamId })
      if (!this.expected.has(info.id)) {
        consumer.close()
        return
      }
      const view = viewOf(info, consumer.track)
      this.received.set(info.id, { consumer, view })
    } finally {
      this.expected.delete(info.id)
    }
  }

  /** Resolves when media can arrive, or after `patience` ms. */
  receiving(patience: number): Promise<void> {
    if (!this.recv || this.recv.connectionState === 'connected') return Promise.resolve()
    return new Promise((resolve) => {
      this.later(patience, resolve)
      this.on('connected', () => resolve())
    })
  }

  consumerClosed(consumerId: string): void {
    this.expected.delete(consumerId)
    this.received.get(consumerId)?.consumer.close()
    if (this.received.delete(consumerId)) this.emit('changed', undefined)
  }

  consumerPaused(consumerId: string, paused: boolean): void {
    this.patch(consumerId, { paused })
  }

  consumerLayers(consumerId: string, spatialLayer: number | null): void {
    this.patch(consumerId, { spatialLayer })
  }

  /** Returns the track it is about, for whoever keeps count. */
  consumerReduced({ consumerId, state, keyFramesOnly = false }: ServerEvents['consumerReduced']): RemoteTrack | undefined {
    this.patch(consumerId, { share: state, stills: keyFramesOnly })
    return this.received.get(consumerId)?.view
  }

  private patch(consumerId: string, change: Partial<RemoteTrack>): void {
    const received = this.received.get(consumerId)
    if (!received) return
    received.view = { ...received.view, ...change }
    this.emit('changed', undefined)
  }

  /** Makes what is received equal to the server's list: closes what is gone, takes what is new. */
  async reconcile(infos: ConsumerInfo[]): Promise<void> {
    const wanted = new Set(infos.map((info) => info.id))
    for (const id of [...this.received.keys()]) if (!wanted.has(id)) this.consumerClosed(id)
    for (const { id, producerPaused, allotted } of infos) this.patch(id, { paused: producerPaused, ...(allotted ? { share: allotted } : {}) })
    await this.consume(infos, false)
  }

  tracks(): RemoteTrack[] {
    return [...this.received.values()].map(({ view }) => view)
  }

  consumers(): { view: RemoteTrack; consumer: Consumer }[] {
    return [...this.received.values()]
  }

  // -- sending -----------------------------------------------------------------------------------------------------

  async publish(source: Source, track: MediaStreamTrack): Promise<void> {
    const known = this.producers.get(source)
    if (known && !known.closed) {
      await known.replaceTrack({ track })
      return
    }
    const producer = await this.sender(source).produce(produceOptions(source, track))
    this.producers.set(source, producer)
    this.told.set(source, false)
    producer.on('trackended', () => this.emit('ended', { source }))
    producer.on('transportclose', () => this.producers.delete(source))
    if (source === 'camera') void import('./resting').then(({ restUnsent }) => restUnsent(producer), this.fail)
  }

  async unpublish(source: Source): Promise<void> {
    const producer = this.producers.get(source)
    if (!producer) return
    this.producers.delete(source)
    producer.close()
    this.unclosed.add(producer.id)
    await this.tellClosed(producer.id)
  }

  private async tellClosed(producerId: string): Promise<void> {
    await this.channel.request('closeProducer', { producerId })
    this.unclosed.delete(producerId)
  }

  private async tellPaused(source: Source, producer: Producer): Promise<void> {
    const { paused } = producer
    await this.channel.request(paused ? 'pauseProducer' : 'resumeProducer', { producerId: producer.id })
    this.told.set(source, paused)
  }

  /** Tells again what a cut swallowed: who muted or stopped sharing meanwhile must not be heard or seen. */
  async retell(): Promise<void> {
    for (const [transportId, parameters] of this.unconnected) await this.tellConnected(transportId, parameters)
    for (const producerId of this.unclosed) await this.tellClosed(producerId)
    for (const [source, producer] of this.producers) {
      if (producer.paused !== this.told.get(source)) await this.tellPaused(source, producer)
    }
  }

  /** Stops or continues what is sent. With `track` null the device itself can be switched off meanwhile. */
  async setPaused(source: Source, paused: boolean, track?: MediaStreamTrack | null): Promise<void> {
    const producer = this.producers.get(source)
    if (!producer) return
    if (track !== undefined) await producer.replaceTrack({ track })
    if (paused) producer.pause()
    else producer.resume()
    await this.tellPaused(source, producer)
  }

  /** The server paused or closed one of ours (the chair); returns its source. */
  ownProducer(producerId: string): Source | null {
    for (const [source, producer] of this.producers) if (producer.id === producerId) return source
    return null
  }

  /** The chair muted one of ours. */
  pausedByServer(source: Source): void {
    this.producers.get(source)?.pause()
    this.told.set(source, true)
  }

  producerOf(source: Source): Producer | undefined {
    return this.producers.get(source)
  }

  /** Forgets a producer that the server closed. */
  dropProducer(source: Source): void {
    this.producers.get(source)?.close()
    this.producers.delete(source)
  }

  // -- data --------------------------------------------------------------------------------------------------------

  async openData(label: string, options: { ordered?: boolean; maxRetransmits?: number } = {}): Promise<DataProducer> {
    return this.sender(label).produceData({ label, ...options })
  }

  async consumeData(infos: DataConsumerInfo[]): Promise<void> {
    for (const info of infos) {
      if (!this.recv || this.dataReceived.has(info.id as string)) continue
      try {
        const { peerId = '', ...options } = info
        const consumer = await this.recv.consumeData(options)
        this.dataReceived.set(consumer.id, consumer)
        consumer.on('message', (payload) => this.emit('data', { peerId, label: consumer.label, payload: payload as string | ArrayBuffer }))
      } catch (error) {
        this.fail(error)
      }
    }
  }

  dataConsumerClosed(dataConsumerId: string): void {
    this.dataReceived.get(dataConsumerId)?.close()
    this.dataReceived.delete(dataConsumerId)
  }

  transportStats(): Promise<RTCStatsReport[]> {
    return Promise.all(this.open().map((transport) => transport.getStats()))
  }

  /** Closes both transports and with them all producers and consumers. Closing twice is harmless. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.stopWatching()
    for (const timer of this.timers) clearTimeout(timer)
    this.timers.clear()
    this.paths.close()
    this.removeAll()
    this.send?.close()
    this.recv?.close()
    this.producers.clear()
    this.received.clear()
    this.dataReceived.clear()
  }
}

function viewOf(info: ConsumerInfo, track: MediaStreamTrack): RemoteTrack {
  return {
    consumerId: info.id,
    producerId: info.producerId,
    peerId: info.peerId ?? '',
    source: info.source,
    kind: info.kind,
    track,
    paused: info.producerPaused,
    spatialLayer: undefined,
    share: info.allotted ?? 'full',
    stills: false,
  }
}
