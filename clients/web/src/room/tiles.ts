/** What stands on the stage and beside it, worked out from the room's snapshot. Pure. */
import type { LocalTrack, PeerInfo, RemoteTrack, Role, RoomSnapshot, Source } from '@/protocol'

export type TileSource = Exclude<Source, 'microphone'>

export interface TileModel {
  key: string
  peerId: string
  source: TileSource
  name: string
  role: Role | string
  self: boolean
  video: MediaStreamTrack | null
  audio: MediaStreamTrack | null
  /** The person's camera is off, or the device stands still. */
  videoPaused: boolean
  /** True: muted; false: can be heard; null: has no microphone here. */
  muted: boolean | null
  /** The server sends no picture because the line is too thin. */
  reduced: boolean
  consumerId: string | null
}

/** `speaker` and `ultrasound` are the reader's choice; `auto` shows what the clinic shows, else who speaks. */
export type StageMode = 'auto' | 'speaker' | 'ultrasound'

const ROLE_ORDER = ['expert', 'chair', 'requester', 'desk', 'guest', 'observer', 'device']

function rank(role: string): number {
  const place = ROLE_ORDER.indexOf(role)
  return place < 0 ? ROLE_ORDER.length : place
}

export function byRole<T extends { role: string }>(people: T[]): T[] {
  return [...people].sort((a, b) => rank(a.role) - rank(b.role))
}

function remoteTile(peer: PeerInfo, source: TileSource, tracks: RemoteTrack[]): TileModel {
  const video = tracks.find((track) => track.source === source && track.kind === 'video')
  const audioSource = source === 'camera' ? 'microphone' : source
  const audio = tracks.find((track) => track.source === audioSource && track.kind === 'audio')
  const microphone = peer.producers.find((producer) => producer.source === audioSource && producer.kind === 'audio')
  return {
    key: `${peer.id}:${source}`,
    peerId: peer.id,
    source,
    name: peer.displayName,
    role: peer.role,
    self: false,
    video: video?.track ?? null,
    audio: audio?.track ?? null,
    videoPaused: !video || video.paused,
    muted: microphone ? microphone.paused : null,
    reduced: video !== undefined && !video.paused && video.spatialLayer === null,
    consumerId: video?.consumerId ?? null,
  }
}

function ownTile(snapshot: RoomSnapshot, source: TileSource, name: string, of: (source: Source) => LocalTrack | undefined): TileModel {
  const video = of(source)
  const microphone = of('microphone')
  return {
    key: `self:${source}`,
    peerId: snapshot.peerId,
    source,
    name,
    role: snapshot.role,
    self: true,
    video: video?.track ?? null,
    audio: null,
    videoPaused: !video || video.muted,
    muted: source === 'camera' ? (microphone?.muted ?? null) : null,
    reduced: false,
    consumerId: null,
  }
}

/** Everybody's tiles: others first (by role), then ourselves. A person always has one, a device only its pictures. */
export function tilesOf(snapshot: RoomSnapshot, selfName: string): TileModel[] {
  const tiles: TileModel[] = []
  for (const peer of byRole(snapshot.peers)) {
    const tracks = snapshot.tracks.filter((track) => track.peerId === peer.id)
    const shown = new Set<TileSource>(peer.role === 'device' ? [] : ['camera'])
    for (const { source, kind } of peer.producers) if (source !== 'microphone' && kind === 'video') shown.add(source)
    for (const source of shown) tiles.push(remoteTile(peer, source, tracks))
  }
  const of = (source: Source) => snapshot.local.find((mine) => mine.source === source)
  const publishes = snapshot.grants.publish
  if (publishes.includes('camera') || publishes.includes('microphone')) tiles.push(ownTile(snapshot, 'camera', selfName, of))
  if (of('screen')) tiles.push(ownTile(snapshot, 'screen', selfName, of))
  return tiles
}

/** Which tile stands on the stage. A pinned one stays as long as it is there. */
export function stageTile(tiles: TileModel[], pinned: string | null, mode: StageMode, speaker: string | null): TileModel | null {
  const others = tiles.filter((tile) => !tile.self)
  const people = others.filter((tile) => tile.source === 'camera')
  const speaking = people.find((tile) => tile.peerId === speaker) ?? people.find((tile) => !tile.videoPaused) ?? people[0]
  const shown = others.find((tile) => tile.source === 'ultrasound') ?? others.find((tile) => tile.source === 'screen')
  const own = tiles.find((tile) => tile.self) ?? null
  const found = tiles.find((tile) => tile.key === pinned)
  if (found) return found
  return (mode === 'speaker' ? speaking : (shown ?? speaking)) ?? own
}

/** Simulcast layers (0 smallest) that suit where each received camera is shown. */
const STAGE_LAYER = 2
const STRIP_LAYER = 0

export function wantedLayers(tiles: TileModel[], stage: TileModel | null): Map<string, number> {
  const cameras = tiles.filter((tile) => tile.source === 'camera' && tile.consumerId !== null)
  return new Map(cameras.map((tile) => [tile.consumerId ?? '', tile.key === stage?.key ? STAGE_LAYER : STRIP_LAYER]))
}

/** A louder voice must last this many looks before the stage changes, so that a cough moves nothing. */
const LOOKS = 2
const AUDIBLE = 0.02

/** Remembers who speaks; feed it the levels about twice a second. */
export class SpeakerChoice {
  current: string | null = null
  private candidate: string | null = null
  private looks = 0

  update(levels: Map<string, number>): string | null {
    const [loudest, level] = [...levels].reduce<[string | null, number]>((best, next) => (next[1] > best[1] ? next : best), [null, 0])
    if (this.current !== null && !levels.has(this.current)) this.current = null
    if (loudest === null || level < AUDIBLE || loudest === this.current) {
      this.candidate = null
      return this.current
    }
    this.looks = loudest === this.candidate ? this.looks + 1 : 1
    this.candidate = loudest
    if (this.looks >= LOOKS || this.current === null) this.current = loudest
    return this.current
  }
}

/** The chair may send away guests and onlookers; the inviting doctor has to be present, the clinic's devices are released there. */
export function removable(role: string): boolean {
  return role === 'guest' || role === 'observer'
}
