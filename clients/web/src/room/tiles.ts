/** What stands on the stage and beside it, worked out from the room's snapshot. Pure. */
import type { LocalTrack, PeerInfo, RemoteTrack, Role, RoomSnapshot, Share, Source } from '@/protocol'

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
  /** How much of the picture our line has room for. */
  share: Share
  /** Only single pictures come, for want of room. */
  stills: boolean
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
    share: video && !video.paused ? video.share : 'full',
    stills: video?.stills ?? false,
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
    share: 'full',
    stills: false,
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

/** CSS pixels from which the next larger layer is worth its bits: half of what each layer is sent with (320, 640, 1280). */
const LAYER_WIDTHS = [260, 560]

/** `cellWidth` is that of the grid's cells; 0 when one stands on the stage and the others in a strip. */
export function wantedLayers(tiles: TileModel[], stage: TileModel | null, cellWidth = 0): Map<string, number> {
  const cell = LAYER_WIDTHS.filter((width) => cellWidth >= width).length
  const of = (tile: TileModel) => (cellWidth > 0 ? cell : tile.key === stage?.key ? STAGE_LAYER : STRIP_LAYER)
  const cameras = tiles.filter((tile) => tile.source === 'camera' && tile.consumerId !== null)
  return new Map(cameras.map((tile) => [tile.consumerId ?? '', of(tile)]))
}

/** One large picture with the others beside it, or all of one size. */
export type Layout = 'speaker' | 'grid'
const CELL_RATIO = 16 / 9

/** Columns that make the cells of a grid as large as can be. Sizes in CSS pixels; gaps are left out. */
export function gridColumns(count: number, width: number, height: number): number {
  let best = { columns: 1, cell: 0 }
  for (let columns = 1; columns <= count; columns += 1) {
    const cell = Math.min(width / columns, (height / Math.ceil(count / columns)) * CELL_RATIO)
    if (cell > best.cell) best = { columns, cell }
  }
  return best.columns
}

/** The chair may send away guests and onlookers; the inviting doctor has to be present, the clinic's devices are released there. */
export function removable(role: string): boolean {
  return role === 'guest' || role === 'observer'
}
