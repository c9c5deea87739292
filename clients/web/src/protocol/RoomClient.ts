/**
 * A person in a room: signaling line, roster and media session behind one object. Knows no view; a view reads
 * `snapshot()` when `changed` is emitted.
 *
 * Joining is arranged for the shortest way to the first frame: the router's capabilities come with the token, so the
 * device is loaded while the socket connects, and the join reply carries both transports and running consumers.
 */
import type { Device, RtpCapabilities } from 'mediasoup-client/types'
import { makeBrowserDevice, type PreparedDevice } from './device'
import { Emitter } from './emitter'
import { lineBroke, RoomError } from './errors'
import { MediaSession } from './MediaSession'
import { watchNetwork, type NetworkEvent } from './network'
import { consumerStats, linkFigures, type ConsumerStats, type Reading } from './quality'
import { Roster } from './roster'
import { SocketChannel, type Channel, type ChannelEvents, type ChannelOptions } from './signaling'
import type { EndReason, LocalTrack, Mark, Phase, RoomEvents, RoomSnapshot } from './told'
import type { Grants, JoinReply, RoomCredentials, ServerEvents, Source } from './wire'

export interface RoomClientOptions {
  credentials: RoomCredentials
  /** Gives a new token when the old one has ended by the time of a reconnection. */
  renew?: () => Promise<RoomCredentials>
  /** Opens a camera again that was switched off. */
  openCamera?: () => Promise<MediaStreamTrack>
  /** A device that was loaded beforehand; used when the capabilities are still the server's. */
  prepared?: PreparedDevice
  makeChannel?: (options: ChannelOptions) => Channel
  makeDevice?: () => Device
  /** Reports changes of the network until its result is called; a test plays them. */
  network?: (report: (event: NetworkEvent) => void) => () => void
}

const NOTHING: Grants = { publish: [], subscribe: false, chat: false, chair: false, record: false, signals: [] }
/** Our own tracks wait this long for the others' to arrive, then they go anyway. */
const SEND_AFTER_MS = 250
const ENDINGS: Record<string, EndReason> = { removed: 'removed', replaced: 'replaced', token_ended: 'token_ended' }

export class RoomClient extends Emitter<RoomEvents> {
  private credentials: RoomCredentials
  private readonly channel: Channel
  private readonly roster = new Roster()
  private readonly local = new Map<Source, LocalTrack>()
  private readonly marked = new Set<Mark>()
  private device: Device | null = null
  private loading: Promise<void> = Promise.resolve()
  private session: MediaSession | null = null
  /** The session from the moment on at which it takes tracks to send. */
  private publishing: MediaSession | null = null
  private phase: Phase = 'idle'
  private reply: JoinReply | null = null
  private resumeToken: string | null = null
  private renewed = false
  private notified = false
  private readonly stopWatching: () => void
  private settle: { resolve: () => void; reject: (error: RoomError) => void } | null = null

  constructor(private readonly options: RoomClientOptions) {
    super()
    this.credentials = options.credentials
    const makeChannel = options.makeChannel ?? ((channelOptions: ChannelOptions) => new SocketChannel(channelOptions))
    this.channel = makeChannel({ token: () => this.credentials.token, resumeToken: () => this.resumeToken })
    this.channel.on('up', () => void this.enter())
    this.channel.on('down', (event) => void this.lost(event))
    this.channel.on('message', (message) => this.heard(message))
    this.stopWatching = (options.network ?? watchNetwork)((event) => this.networkEvent(event))
  }

  private networkEvent(event: NetworkEvent): void {
    if (this.phase !== 'joined' && this.phase !== 'reconnecting') return
    void this.channel.check()
    if (event === 'changed') this.session?.networkChanged()
  }

  /** Media and signaling both silent: the way is gone, and a new one is looked for without waiting for either. */
  private async silent(session: MediaSession): Promise<void> {
    if (this.phase !== 'joined' && this.phase !== 'reconnecting') return
    if (await this.channel.check('urgent')) session.silenceAnswered()
    else if (session === this.session) session.networkChanged()
  }

  // -- joining -----------------------------------------------------------------------------------------------------

  /** Resolves when the room is joined; media follows. Rejects with a RoomError when it cannot be joined at all. */
  join(): Promise<void> {
    if (this.phase !== 'idle') return Promise.reject(RoomError.local('internal', 'join twice'))
    this.phase = 'joining'
    this.changed()
    return new Promise((resolve, reject) => {
      this.settle = { resolve, reject }
      this.channel.open()
      if (this.credentials.routerRtpCapabilities) this.loading = this.load(this.credentials.routerRtpCapabilities)
      this.loading.catch((error: unknown) => this.end('failed', RoomError.from(error)))
    })
  }

  private async load(routerRtpCapabilities: RtpCapabilities): Promise<void> {
    this.device = await (this.prepared(routerRtpCapabilities) ?? this.loadNew(routerRtpCapabilities))
    this.mark('device')
  }

  private prepared(capabilities: RtpCapabilities): Promise<Device> | null {
    const { prepared } = this.options
    return prepared && JSON.stringify(prepared.capabilities) === JSON.stringify(capabilities) ? prepared.device : null
  }

  private async loadNew(routerRtpCapabilities: RtpCapabilities): Promise<Device> {
    const device = this.options.makeDevice?.() ?? makeBrowserDevice()
    await device.load({ routerRtpCapabilities })
    return device
  }

  /** The line is up, for the first time or again: join, which also resumes. */
  private async enter(): Promise<void> {
    this.mark('socket')
    try {
      await this.loading
      if (this.over()) return
      const rtpCapabilities = this.device?.recvRtpCapabilities
      const reply = await this.channel.request('join', rtpCapabilities ? { rtpCapabilities } : {})
      if (this.over()) return
      this.resumeToken = reply.resumeToken
      this.renewed = false
      await (reply.resumed && this.session ? this.resume(reply) : this.establish(reply))
    } catch (error) {
      this.refused(RoomError.from(error))
    }
  }

  private over(): boolean {
    return this.phase === 'ended'
  }

  private async establish(reply: JoinReply): Promise<void> {
    if (!this.device) {
      await this.load(reply.routerRtpCapabilities)
      if (this.device && reply.recvTransport) {
        const { recvRtpCapabilities } = this.device as Device
        Object.assign(reply, await this.channel.request('subscribe', { rtpCapabilities: recvRtpCapabilities }))
      }
    }
    if (this.over() || !this.device) return
    this.session?.close()
    this.publishing = null
    this.take(reply)
    const session = new MediaSession(this.device, this.channel, reply)
    this.session = session
    this.listen(session)
    this.mark('joined')
    this.settle?.resolve()
    this.settle = null
    // Told only when the tracks are there: a view that draws everything twice holds up the negotiation. And one
    // negotiation after the other: what is to be seen comes first, and on a busy machine both at once are slower.
    await session.consume(reply.consumers ?? [], false)
    this.changed()
    this.mark('consumed')
    if (reply.consumers?.length) await session.receiving(SEND_AFTER_MS)
    await this.publishAll(session)
    await session.consumeData(reply.dataConsumers ?? [])
  }

  private async resume(reply: JoinReply): Promise<void> {
    this.take(reply)
    this.changed()
    await this.session?.reconcile(reply.consumers ?? [])
    this.session?.recheck()
    await this.session?.consumeData(reply.dataConsumers ?? [])
    await this.session?.retell()
    // A track that was opened during the cut has no producer yet.
    for (const mine of this.local.values()) {
      if (this.publishing && !this.session?.producerOf(mine.source)) await this.publishOne(this.publishing, mine)
    }
  }

  private take(reply: JoinReply): void {
    this.reply = reply
    this.roster.reset(reply)
    this.phase = 'joined'
  }

  private listen(session: MediaSession): void {
    session.on('changed', () => this.changed())
    session.on('failed', this.report)
    session.on('doubt', () => void this.channel.check())
    session.on('silent', () => void this.silent(session))
    session.on('connected', () => this.mark('connected'))
    session.on('data', (data) => this.emit('data', data))
    session.on('ended', ({ source }) => void this.unpublish(source).catch(this.report))
  }

  private refused(error: RoomError): void {
    if (this.over()) return
    // A line that broke while joining comes back by itself; the server's refusal does not.
    if (error.code === 'request_timeout') void this.channel.check('anew')
    if (lineBroke(error)) return
    if (this.phase === 'joined') this.emit('error', error)
    else this.end('failed', error)
  }

  private async lost({ final, error }: ChannelEvents['down']): Promise<void> {
    if (this.over()) return
    if (error.code === 'token_expired' && this.options.renew && !this.renewed) {
      this.renewed = true
      try {
        this.credentials = await this.options.renew()
        this.channel.open()
        return
      } catch (failure) {
        this.end('failed', RoomError.from(failure))
        return
      }
    }
    if (final && error.code === 'signaling_lost' && this.phase !== 'joining') {
      // The server closed the socket without a word (its bound on slow or loud sockets): resume as after a loss.
      this.phase = 'reconnecting'
      this.channel.open()
    } else if (final) {
      this.end('failed', error)
    } else if (this.phase === 'joined') {
      this.phase = 'reconnecting'
    }
    this.changed()
  }

  // -- what the server says ----------------------------------------------------------------------------------------

  private heard(message: ChannelEvents['message']): void {
    if (this.over()) return
    if (this.roster.apply(message.name, message.payload as ServerEvents[typeof message.name])) this.changed()
    const handler = this.handlers[message.name] as ((payload: unknown) => void) | undefined
    handler?.(message.payload)
  }

  private readonly handlers: { [K in keyof ServerEvents]?: (payload: ServerEvents[K]) => void } = {
    newConsumers: ({ consumers }) => void this.session?.consume(consumers, true),
    newDataConsumers: ({ dataConsumers }) => void this.session?.consumeData(dataConsumers),
    consumerClosed: ({ consumerId }) => this.session?.consumerClosed(consumerId),
    dataConsumerClosed: ({ dataConsumerId }) => this.session?.dataConsumerClosed(dataConsumerId),
    consumerPaused: ({ consumerId }) => this.session?.consumerPaused(consumerId, true),
    consumerResumed: ({ consumerId }) => this.session?.consumerPaused(consumerId, false),
    consumerLayers: ({ consumerId, spatialLayer }) => this.session?.consumerLayers(consumerId, spatialLayer),
    consumerReduced: (payload) => {
      const track = this.session?.consumerReduced(payload)
      this.emit('reduced', { ...payload, peerId: track?.peerId, source: track?.source })
    },
    transportState: ({ transportId, state }) => {
      if (state === 'failed') this.session?.restartIce(transportId)
    },
    producerPaused: ({ producerId, by }) => this.mutedByServer(producerId, by),
    producerClosed: ({ producerId }) => this.closedByServer(producerId),
    protocolError: (error) => this.emit('error', RoomError.fromWire(error)),
    removed: ({ reason }) => this.end(ENDINGS[reason ?? ''] ?? 'removed', null),
    roomClosed: () => this.end('room_closed', null),
  }

  private mutedByServer(producerId: string, by: string | undefined): void {
    const source = this.session?.ownProducer(producerId)
    const mine = source && this.local.get(source)
    if (!source || !mine || by === this.reply?.peerId || mine.muted) return
    this.session?.pausedByServer(source)
    this.local.set(source, { ...mine, muted: true })
    this.emit('mutedByChair', { source })
    this.changed()
  }

  private closedByServer(producerId: string): void {
    const source = this.session?.ownProducer(producerId)
    if (!source) return
    this.session?.dropProducer(source)
    this.forget(source)
  }

  // -- publishing --------------------------------------------------------------------------------------------------

  /** Publishes a track now, or as soon as the room is joined. A source that is already published gets the new track. */
  async publish(source: Source, track: MediaStreamTrack, muted = false): Promise<void> {
    const previous = this.local.get(source)?.track
    if (previous && previous !== track) previous.stop()
    this.local.set(source, { source, track, muted })
    this.changed()
    if (this.publishing) await this.publishOne(this.publishing, { source, track, muted })
  }

  private async publishAll(session: MediaSession): Promise<void> {
    this.publishing = session
    // Sound first: it is what a thin line must never lose.
    const order: Source[] = ['microphone', 'camera', 'ultrasound', 'screen']
    const waiting = order.map((source) => this.local.get(source)).filter((mine): mine is LocalTrack => mine?.track !== undefined)
    await Promise.all(waiting.map((mine) => this.publishOne(session, mine).catch(this.report)))
  }

  private async publishOne(session: MediaSession, { source, track }: LocalTrack): Promise<void> {
    if (!track || !this.grants().publish.includes(source)) return
    await session.publish(source, track)
    this.mark('published')
    // Looked up now: the user may have muted while the negotiation ran.
    if (this.local.get(source)?.muted) await session.setPaused(source, true)
    this.changed()
  }

  async unpublish(source: Source): Promise<void> {
    this.forget(source)
    await this.session?.unpublish(source)
  }

  private forget(source: Source): void {
    this.local.get(source)?.track?.stop()
    this.local.delete(source)
    this.changed()
  }

  /** Mutes or unmutes. A camera is really switched off meanwhile (its light goes out) and opened again afterwards. */
  async setMuted(source: Source, muted: boolean): Promise<void> {
    const mine = this.local.get(source)
    if (!mine || mine.muted === muted) return
    if (source === 'camera' && this.options.openCamera) {
      await this.switchCamera(mine, muted, this.options.openCamera)
      return
    }
    if (mine.track) mine.track.enabled = !muted
    this.local.set(source, { ...mine, muted })
    this.changed()
    await this.session?.setPaused(source, muted)
  }

  private async switchCamera(mine: LocalTrack, off: boolean, open: () => Promise<MediaStreamTrack>): Promise<void> {
    const track = off ? null : await open()
    this.local.set('camera', { ...mine, track, muted: off })
    this.changed()
    const session = this.session
    if (session && !session.producerOf('camera') && track) await session.publish('camera', track)
    else await session?.setPaused('camera', off, track)
    if (off) mine.track?.stop()
  }

  // -- acting ------------------------------------------------------------------------------------------------------

  async chat(text: string): Promise<void> {
    await this.channel.request('chat', { text })
  }

  async removePeer(peerId: string, reason?: string): Promise<void> {
    await this.channel.request('removePeer', reason ? { peerId, reason } : { peerId })
  }

  async mutePeer(peerId: string, source: Source): Promise<void> {
    await this.channel.request('mutePeer', { peerId, source })
  }

  async setRecording(on: boolean): Promise<void> {
    await this.channel.request(on ? 'startRecording' : 'stopRecording', {})
  }

  /** Which simulcast layer is wanted for a consumer: 0 for a thumbnail, 2 for the stage. */
  async preferLayer(consumerId: string, spatialLayer: number): Promise<void> {
    await this.channel.request('setPreferredLayers', { consumerId, spatialLayer })
  }

  openData(label: string, options: { ordered?: boolean; maxRetransmits?: number } = {}) {
    if (!this.session) return Promise.reject(RoomError.local('not_joined'))
    return this.session.openData(label, options)
  }

  /** Leaves on purpose; the others see it at once. Never rejects. */
  async leave(): Promise<void> {
    if (this.over()) return
    const told = this.phase === 'joined' ? this.channel.request('leave', {}).catch(() => undefined) : undefined
    this.end('left', null)
    await told
    this.channel.close()
  }

  private end(reason: EndReason, error: RoomError | null): void {
    if (this.over()) return
    this.phase = 'ended'
    this.resumeToken = null
    this.stopWatching()
    this.session?.close()
    for (const { track } of this.local.values()) track?.stop()
    this.local.clear()
    this.settle?.reject(error ?? RoomError.local('signaling_refused', reason))
    this.settle = null
    this.emit('changed', this.snapshot())
    this.emit('ended', { reason, error })
    if (reason !== 'left') this.channel.close()
  }

  // -- looking -----------------------------------------------------------------------------------------------------

  snapshot(): RoomSnapshot {
    return {
      phase: this.phase,
      path: this.session?.path() ?? 'new',
      peerId: this.reply?.peerId ?? '',
      role: this.reply?.role ?? this.credentials.role,
      grants: this.grants(),
      peers: this.roster.list(),
      tracks: this.session?.tracks() ?? [],
      local: [...this.local.values()],
      chat: this.roster.chat(),
      recording: this.roster.recording,
      speaker: this.roster.speaker,
      quality: this.roster.quality(),
      startedAt: this.roster.startedAt,
    }
  }

  private grants(): Grants {
    return this.reply?.grants ?? NOTHING
  }

  /** Figures of everything received, one entry a consumer. */
  async stats(): Promise<ConsumerStats[]> {
    const all = this.session?.consumers() ?? []
    return Promise.all(
      all.map(async ({ view, consumer }) => {
        const { consumerId, peerId, source, kind } = view
        const report = consumer.closed ? new Map() : await consumer.getStats()
        return consumerStats(report.values(), { consumerId, peerId, source, kind })
      }),
    )
  }

  /** One reading of the whole line, for `verdict`. `now` in ms. */
  async reading(now: number): Promise<Reading> {
    const [consumers, transports] = await Promise.all([this.stats(), this.session?.transportStats() ?? []])
    const link = linkFigures(transports.flatMap((report) => [...report.values()]))
    const sum = (pick: (one: ConsumerStats) => number) => consumers.reduce((total, one) => total + pick(one), 0)
    return {
      at: now,
      received: sum((one) => one.packetsReceived),
      lost: sum((one) => one.packetsLost),
      freezeSeconds: sum((one) => one.freezeSeconds),
      framesDecoded: sum((one) => one.framesDecoded),
      ...link,
    }
  }

  private readonly report = (error: unknown): void => {
    // That the line broke is told by `phase`; what was asked is done when it is back.
    if (!this.over() && !lineBroke(error)) this.emit('error', RoomError.from(error))
  }

  private mark(name: Mark): void {
    if (this.marked.has(name)) return
    this.marked.add(name)
    this.emit('mark', name)
  }

  /** Many changes of one turn are told once. */
  private changed(): void {
    if (this.notified) return
    this.notified = true
    queueMicrotask(() => {
      this.notified = false
      if (!this.over()) this.emit('changed', this.snapshot())
    })
  }
}
