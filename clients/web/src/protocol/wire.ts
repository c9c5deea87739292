/** The JSON of the room protocol (signaling/PROTOCOL.md), as types. Nothing here runs. */
import type {
  DataConsumerOptions,
  DtlsParameters,
  IceParameters,
  MediaKind,
  RtpCapabilities,
  RtpParameters,
  SctpStreamParameters,
  TransportOptions,
} from 'mediasoup-client/types'

export type Source = 'microphone' | 'camera' | 'screen' | 'ultrasound'
export type Role = 'requester' | 'expert' | 'chair' | 'guest' | 'observer' | 'device' | 'desk'

export interface Grants {
  publish: Source[]
  subscribe: boolean
  chat: boolean
  chair: boolean
  record: boolean
  signals: ('watch' | 'publish' | 'acknowledge')[]
}

export interface ProducerInfo {
  id: string
  kind: MediaKind
  source: Source
  paused: boolean
}

export interface PeerInfo {
  id: string
  displayName: string
  role: Role
  producers: ProducerInfo[]
}

/** How much of a track our line gets: all of it, less, or nothing for now. */
export type Share = 'full' | 'reduced' | 'paused'

export interface ConsumerInfo {
  id: string
  producerId: string
  peerId?: string
  kind: MediaKind
  type: 'simple' | 'simulcast'
  rtpParameters: RtpParameters
  paused: boolean
  producerPaused: boolean
  source: Source
  allotted?: Share
}

/** Why a peer's sound or picture is as it is; `values` are figures for the sentence. */
export type CauseCode = 'good' | 'uplink_loss' | 'uplink_slow' | 'downlink_loss' | 'downlink_slow' | 'round_trip' | 'server_busy' | 'no_media'

export interface PeerQuality {
  peerId: string
  /** Mean opinion score after the E-model (ITU-T G.107), 1 to 4.5. */
  audio: { mos: number } | null
  /** The documented video score, 1 to 5. */
  video: { score: number } | null
  cause: { code: CauseCode; values?: Record<string, number | string> }
}

export type DataConsumerInfo = DataConsumerOptions & { peerId?: string }

/** Unix time in seconds, as all times of the room protocol. */
export type Seconds = number

export interface ChatMessage {
  id: string
  from: string
  displayName: string
  text: string
  at: Seconds
}

export interface RecordingState {
  state: 'on' | 'off'
  startedAt: Seconds | null
  recordingId: string | null
}

export interface JoinReply {
  peerId: string
  /** True: the same peer as before a signaling loss, with its transports, producers and consumers. */
  resumed?: boolean
  role: Role
  grants: Grants
  routerRtpCapabilities: RtpCapabilities
  /** Null without anything to publish. */
  sendTransport: TransportOptions | null
  /** Null without the subscribe grant. */
  recvTransport: TransportOptions | null
  iceServers: RTCIceServer[]
  peers: PeerInfo[]
  consumers?: ConsumerInfo[]
  dataConsumers?: DataConsumerInfo[]
  chat: ChatMessage[]
  recording: RecordingState
  /** The peer whose voice is heard most. */
  activeSpeaker?: string | null
  quality?: PeerQuality[]
  startedAt: Seconds | null
  resumeToken: string
}

/** Client requests: name -> [what is sent, what comes back]. */
export interface Requests {
  join: [{ rtpCapabilities?: RtpCapabilities }, JoinReply]
  subscribe: [{ rtpCapabilities: RtpCapabilities }, { consumers: ConsumerInfo[]; dataConsumers: DataConsumerInfo[] }]
  connectTransport: [{ transportId: string; dtlsParameters: DtlsParameters }, unknown]
  restartIce: [{ transportId: string }, { iceParameters: IceParameters }]
  produce: [{ transportId: string; kind: MediaKind; rtpParameters: RtpParameters; source: Source; paused?: boolean }, { id: string }]
  closeProducer: [{ producerId: string }, unknown]
  pauseProducer: [{ producerId: string }, unknown]
  resumeProducer: [{ producerId: string }, unknown]
  pauseConsumers: [{ consumerIds: string[] }, unknown]
  resumeConsumers: [{ consumerIds: string[] }, unknown]
  setPreferredLayers: [{ consumerId: string; spatialLayer: number; temporalLayer?: number }, unknown]
  requestKeyFrame: [{ consumerId: string }, unknown]
  produceData: [{ transportId: string; sctpStreamParameters: SctpStreamParameters; label: string; protocol: string }, { id: string }]
  closeDataProducer: [{ dataProducerId: string }, unknown]
  chat: [{ text: string }, unknown]
  removePeer: [{ peerId: string; reason?: string }, unknown]
  mutePeer: [{ peerId: string; source: Source }, unknown]
  stats: [Record<string, never>, unknown]
  startRecording: [Record<string, never>, unknown]
  stopRecording: [Record<string, never>, unknown]
  leave: [Record<string, never>, unknown]
}

/** Server events: name -> payload. */
export interface ServerEvents {
  peerJoined: { peer: PeerInfo }
  peerLeft: { peerId: string; reason?: string }
  newConsumers: { consumers: ConsumerInfo[] }
  newDataConsumers: { dataConsumers: DataConsumerInfo[] }
  consumerClosed: { consumerId: string }
  consumerPaused: { consumerId: string }
  consumerResumed: { consumerId: string }
  consumerLayers: { consumerId: string; spatialLayer: number | null; temporalLayer: number | null }
  consumerReduced: { consumerId: string; reason: string; state: Share; spatialLayer: number | null; temporalLayer: number | null; keyFramesOnly?: boolean }
  activeSpeaker: { peerId: string | null }
  quality: { peers: PeerQuality[] }
  producerAdded: { peerId: string; producer: ProducerInfo }
  dataConsumerClosed: { dataConsumerId: string }
  transportState: { transportId: string; state: string }
  protocolError: import('./errors').WireError
  producerPaused: { producerId: string; peerId: string; by?: string }
  producerResumed: { producerId: string; peerId: string; by?: string }
  producerClosed: { producerId: string; peerId: string; by?: string }
  chat: ChatMessage
  recording: RecordingState
  removed: { reason?: string }
  roomClosed: { reason?: string }
}

export type Reply<T> = { ok: true; data: T } | { ok: false; error: import('./errors').WireError }

/** What the REST reply of a room token gives (also for guests). */
export interface RoomCredentials {
  token: string
  roomId: string
  role: Role
  expiresAt: string
  routerRtpCapabilities?: RtpCapabilities
}
