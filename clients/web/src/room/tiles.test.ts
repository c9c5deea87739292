import { describe, expect, it } from 'vitest'
import type { PeerInfo, RemoteTrack, RoomSnapshot } from '@/protocol'
import { gradeLine, tryLine } from './line'
import { HOLD_MS, SpeakerHold } from './speaker'
import { gridColumns, removable, stageTile, tilesOf, wantedLayers, type TileModel } from './tiles'

const track = (kind: string) => ({ kind }) as MediaStreamTrack

function peer(id: string, role: PeerInfo['role'], ...sources: ('microphone' | 'camera' | 'screen' | 'ultrasound')[]): PeerInfo {
  return {
    id, displayName: id, role,
    producers: sources.map((source) => ({ id: `${id}-${source}`, kind: source === 'microphone' ? 'audio' : 'video', source, paused: false })),
  }
}

function received(peerId: string, source: RemoteTrack['source'], change: Partial<RemoteTrack> = {}): RemoteTrack {
  const kind = source === 'microphone' ? 'audio' : 'video'
  return { consumerId: `${peerId}-${source}`, producerId: '', peerId, source, kind, track: track(kind), paused: false, spatialLayer: undefined, share: 'full', stills: false, ...change }
}

function snapshot(change: Partial<RoomSnapshot>): RoomSnapshot {
  return {
    phase: 'joined', path: 'up', speaker: null, quality: [], peerId: 'me', role: 'requester', peers: [], tracks: [], local: [], chat: [], startedAt: null,
    grants: { publish: ['microphone', 'camera', 'screen'], subscribe: true, chat: true, chair: false, record: false, signals: [] },
    recording: { state: 'off', startedAt: null, recordingId: null }, ...change,
  }
}

const keys = (tiles: TileModel[]) => tiles.map(({ key }) => key)

describe('tilesOf', () => {
  it('gives a person one tile with picture and sound, the expert first, ourselves last', () => {
    const tiles = tilesOf(snapshot({
      peers: [peer('g', 'guest', 'camera'), peer('e', 'expert', 'microphone', 'camera')],
      tracks: [received('e', 'microphone'), received('e', 'camera')],
    }), 'Me')
    expect(keys(tiles)).toEqual(['e:camera', 'g:camera', 'self:camera'])
    expect(tiles[0]).toMatchObject({ videoPaused: false, muted: false, audio: { kind: 'audio' }, video: { kind: 'video' } })
  })

  it('shows a device only by its pictures, and somebody without a camera all the same', () => {
    const tiles = tilesOf(snapshot({ peers: [peer('us', 'device', 'ultrasound'), peer('d', 'desk')], tracks: [received('us', 'ultrasound')] }), 'Me')
    expect(keys(tiles)).toEqual(['d:camera', 'us:ultrasound', 'self:camera'])
    expect(tiles[0]).toMatchObject({ videoPaused: true, muted: null })
  })

  it('tells muted, camera off and a picture that the line is too thin for', () => {
    const peers = [peer('e', 'expert', 'microphone', 'camera')]
    peers[0]!.producers[0]!.paused = true
    const shown = (change: Partial<RemoteTrack>) => tilesOf(snapshot({ peers, tracks: [received('e', 'camera', change)] }), '')[0]
    expect(shown({ paused: true, share: 'paused' })).toMatchObject({ muted: true, videoPaused: true, share: 'full' })
    expect(shown({ share: 'paused' })).toMatchObject({ videoPaused: false, share: 'paused' })
    expect(shown({ share: 'reduced', stills: true })).toMatchObject({ share: 'reduced', stills: true })
  })

  it('gives no own tile to those who may publish nothing', () => {
    expect(tilesOf(snapshot({ grants: { ...snapshot({}).grants, publish: [] } }), '')).toEqual([])
  })
})

describe('stageTile', () => {
  const tiles = tilesOf(snapshot({
    peers: [peer('e', 'expert', 'camera'), peer('g', 'guest', 'camera'), peer('us', 'device', 'ultrasound')],
    tracks: [received('e', 'camera'), received('g', 'camera'), received('us', 'ultrasound')],
  }), 'Me')

  it.each([
    ['auto', null, null, 'us:ultrasound'],
    ['speaker', null, 'g', 'g:camera'],
    ['speaker', null, null, 'e:camera'],
    ['ultrasound', 'g:camera', null, 'g:camera'],
    ['ultrasound', 'gone:camera', null, 'us:ultrasound'],
  ] as const)('mode %s, pinned %s, speaker %s shows %s', (mode, pinned, speaker, expected) => {
    expect(stageTile(tiles, pinned, mode, speaker)?.key).toBe(expected)
  })

  it('asks for the large layer on the stage and small ones beside it', () => {
    expect([...wantedLayers(tiles, tiles[0]!)]).toEqual([['e-camera', 2], ['g-camera', 0]])
    expect([...wantedLayers(tiles, null)].map(([, layer]) => layer)).toEqual([0, 0])
  })

  it('shows ourselves while nobody else is there', () => {
    expect(stageTile(tilesOf(snapshot({}), 'Me'), null, 'auto', null)?.key).toBe('self:camera')
    expect(stageTile([], null, 'auto', null)).toBeNull()
  })
})

describe('the grid', () => {
  it.each([
    [1, 1000, 500, 1],
    [2, 1000, 500, 2],
    [2, 390, 600, 1],
    [4, 1000, 600, 2],
    [6, 1200, 500, 3],
    [0, 1000, 500, 1],
  ])('%i tiles in %i x %i stand in %i columns', (count, width, height, columns) => {
    expect(gridColumns(count, width, height)).toBe(columns)
  })

  it('asks for layers by the size of its cells', () => {
    const tiles = tilesOf(snapshot({ peers: [peer('e', 'expert', 'camera')], tracks: [received('e', 'camera')] }), 'Me')
    const layer = (cell: number) => wantedLayers(tiles, null, cell).get('e-camera')
    expect([180, 300, 700].map(layer)).toEqual([0, 1, 2])
  })
})

describe('SpeakerHold', () => {
  const all = new Set(['a', 'b'])

  it('shows the first speaker at once and the next one when the hold is over', () => {
    const hold = new SpeakerHold()
    expect(hold.look('a', all, 0)).toBeNull()
    expect(hold.shown).toBe('a')
    expect(hold.look('b', all, 500)).toBe(HOLD_MS - 500)
    expect(hold.shown).toBe('a')
    expect(hold.look('a', all, 900)).toBeNull()
    expect(hold.look('b', all, HOLD_MS)).toBeNull()
    expect(hold.shown).toBe('b')
  })

  it('is not moved by our own voice or by silence, and forgets who left', () => {
    const hold = new SpeakerHold()
    hold.look('a', all, 0)
    expect(hold.look('me', all, 9_000)).toBeNull()
    expect(hold.look(null, all, 9_000)).toBeNull()
    expect(hold.shown).toBe('a')
    expect(hold.look('b', new Set(['b']), 9_001)).toBeNull()
    expect(hold.shown).toBe('b')
    hold.look(null, new Set(), 9_002)
    expect(hold.shown).toBeNull()
  })
})

describe('the chair', () => {
  it('sends away guests and onlookers, never the doctors', () => {
    expect((['guest', 'observer', 'requester', 'expert', 'device'] as const).filter(removable)).toEqual(['guest', 'observer'])
  })
})

describe('the line', () => {
  it.each([
    [[30, 20, 500], 'good'],
    [[260, 300], 'fair'],
    [[900], 'poor'],
    [[], 'blocked'],
  ] as const)('%o is %s', (roundTrips, grade) => {
    expect(gradeLine([...roundTrips])).toBe(grade)
  })

  it('is blocked when no question is answered, and forgives one that is lost', async () => {
    let clock = 0
    const now = () => (clock += 10)
    expect(await tryLine(() => Promise.reject(new TypeError('offline')), now)).toBe('blocked')
    let asked = 0
    expect(await tryLine(() => (asked++ === 0 ? Promise.reject(new TypeError('lost')) : Promise.resolve()), now)).toBe('good')
  })
})
