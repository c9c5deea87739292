/** What RoomClient tells a view: its events, and the snapshot that a view draws. Nothing here runs. */
import type { RoomError } from './errors'
import type { RemoteTrack } from './MediaSession'
import type { PathState } from './paths'
import type { ChatMessage, Grants, PeerInfo, PeerQuality, RecordingState, Seconds, ServerEvents, Source } from './wire'

export type Phase = 'idle' | 'joining' | 'joined' | 'reconnecting' | 'ended'
/** Why it is over: by ourselves, by the server's word, or because it could not go on. */
export type EndReason = 'left' | 'removed' | 'replaced' | 'token_ended' | 'room_closed' | 'failed'
/** Steps of the join, for measuring; each is reached once. */
export type Mark = 'socket' | 'device' | 'joined' | 'consumed' | 'connected' | 'published'

export interface LocalTrack {
  source: Source
  track: MediaStreamTrack | null
  muted: boolean
}

export interface RoomSnapshot {
  phase: Phase
  /** Of sound and picture; signaling is `phase`. */
  path: PathState
  peerId: string
  role: string
  grants: Grants
  peers: PeerInfo[]
  tracks: RemoteTrack[]
  local: LocalTrack[]
  chat: ChatMessage[]
  recording: RecordingState
  /** Whose voice is heard most, maybe ours; kept through silence. */
  speaker: string | null
  quality: PeerQuality[]
  startedAt: Seconds | null
}

/** What our line had to give up of a track, or got back. */
export type Reduction = ServerEvents['consumerReduced'] & Partial<Pick<RemoteTrack, 'peerId' | 'source'>>

export interface RoomEvents {
  changed: RoomSnapshot
  mark: Mark
  error: RoomError
  ended: { reason: EndReason; error: RoomError | null }
  data: { peerId: string; label: string; payload: string | ArrayBuffer }
  reduced: Reduction
  /** The chair muted one of ours. */
  mutedByChair: { source: Source }
}
