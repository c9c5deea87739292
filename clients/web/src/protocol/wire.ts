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
  signals: ('watch' | 'publish')[]
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
