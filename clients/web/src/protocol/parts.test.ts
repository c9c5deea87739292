import { describe, expect, it, vi } from 'vitest'
import { Emitter } from './emitter'
import { cameraConstraints, cameraEncodings, produceOptions } from './encodings'
import { RoomError } from './errors'
import { fakeTrack } from './fake'
import { handlerName } from './handler'
import { levelOf, mediaError, openMedia, openScreen, type MediaDevicesLike } from './media'
import { consumerStats, linkFigures, verdict, type Reading } from './quality'
import { Roster } from './roster'

describe('handlerName', () => {
  const iphone = 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1'
  const chrome = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36'
  it.each([
    ['Chromium that emulates an iPhone', { userAgent: iphone, chromium: true }, 'Chrome111'],
    ['a real iPhone', { userAgent: iphone, chromium: false }, undefined],
    ['Chromium as itself', { userAgent: chrome, chromium: true }, undefined],
    ['Firefox', { userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', chromium: false }, undefined],
  ])('%s', (_name, hints, expected) => {
    expect(handlerName(hints)).toBe(expected)
  })
})

describe('encodings', () => {
  it('offers as many layers as WebRTC sends for the size', () => {
    expect(cameraEncodings(1280, 720)).toHaveLength(3)
    expect(cameraEncodings(540, 960)).toHaveLength(3)
    expect(cameraEncodings(640, 480)).toHaveLength(2)
    expect(cameraEncodings(320, 240)).toHaveLength(1)
  })

  it('asks less of a small machine', () => {
    expect([2, 4, 8].map((cores) => cameraConstraints(cores).width)).toEqual([{ ideal: 640 }, { ideal: 960 }, { ideal: 1280 }])
    expect(cameraConstraints(8, 'cam').deviceId).toEqual({ exact: 'cam' })
  })

  it('sends speech with FEC and DTX, and a screen as one layer', () => {
    expect(produceOptions('microphone', fakeTrack('audio')).codecOptions).toMatchObject({ opusDtx: true, opusFec: true })
    expect(produceOptions('screen', fakeTrack('video')).encodings).toHaveLength(1)
  })
})

describe('errors', () => {
  it('keeps code and both sentences of the server', () => {
    const error = RoomError.fromWire({ code: 'room_full', blame: 'peer', message: { zh: '人满', en: 'full' }, detail: 'max' })
    expect(error).toMatchObject({ code: 'room_full', sentences: { zh: '人满', en: 'full' }, detail: 'max' })
  })
  it('says something even without sentences', () => {
    expect(RoomError.fromWire({ code: 'odd' }).sentences).toEqual({ zh: 'odd', en: 'odd' })
    expect(RoomError.from(new TypeError('x')).code).toBe('internal')
  })
  it.each([
    ['NotAllowedError', 'media_denied'],
    ['NotFoundError', 'media_missing'],
    ['NotReadableError', 'media_busy'],
    ['Whatever', 'media_failed'],
  ])('%s becomes %s', (name, code) => {
    expect(mediaError(new DOMException('', name)).code).toBe(code)
  })
})

describe('openMedia', () => {
  const stream = (...kinds: ('audio' | 'video')[]) => {
    const tracks = kinds.map(fakeTrack)
    return {
      getAudioTracks: () => tracks.filter((track) => track.kind === 'audio'),
      getVideoTracks: () => tracks.filter((track) => track.kind === 'video'),
    } as unknown as MediaStream
  }
  const devices = (getUserMedia: (wanted: MediaStreamConstraints) => Promise<MediaStream>) =>
    ({ getUserMedia, getDisplayMedia: getUserMedia, enumerateDevices: () => Promise.resolve([]) }) as unknown as MediaDevicesLike

  it('opens both with one question', async () => {
    const ask = vi.fn(() => Promise.resolve(stream('audio', 'video')))
    const media = await openMedia({ audio: true, video: true }, devices(ask))
    expect([media.audio?.kind, media.video?.kind, media.error]).toEqual(['audio', 'video', null])
    expect(ask).toHaveBeenCalledTimes(1)
  })

  it('gives sound alone when there is no camera, and says so', async () => {
    const media = await openMedia(
      { audio: true, video: true },
      devices((wanted) => (wanted.video ? Promise.reject(new DOMException('', 'NotFoundError')) : Promise.resolve(stream('audio')))),
    )
    expect([media.audio?.kind, media.video, media.error?.code]).toEqual(['audio', null, 'media_missing'])
  })

  it('never rejects when everything is denied', async () => {
    const media = await openMedia({ audio: true, video: true }, devices(() => Promise.reject(new DOMException('', 'NotAllowedError'))))
    expect([media.audio, media.video, media.error?.code]).toEqual([null, null, 'media_denied'])
  })

  it('tells a closed screen chooser from a broken one', async () => {
    await expect(openScreen(devices(() => Promise.reject(new DOMException('', 'NotAllowedError'))))).rejects.toMatchObject({ code: 'share_cancelled' })
  })

  it('shows silence as nothing and speech as more than half', () => {
    expect(levelOf(new Float32Array(64))).toBe(0)
    expect(levelOf(new Float32Array(64).fill(0.05))).toBeGreaterThan(0.5)
    expect(levelOf(new Float32Array(64).fill(1))).toBe(1)
  })
})

describe('quality', () => {
  const reading = (change: Partial<Reading>): Reading => ({
    at: 0, received: 0, lost: 0, freezeSeconds: 0, framesDecoded: 0, roundTrip: 0.03, uplinkLoss: 0, ...change,
  })
  const later = (change: Partial<Reading>) => verdict(reading({}), reading({ at: 2000, received: 1000, ...change }))

  it('knows nothing from one reading', () => {
    expect(verdict(null, reading({}))).toMatchObject({ grade: 'unknown', cause: 'measuring' })
  })
  it.each([
    [{}, 'good', 'none'],
    [{ lost: 50 }, 'fair', 'downlink_loss'],
    [{ lost: 200 }, 'poor', 'downlink_loss'],
    [{ uplinkLoss: 0.12 }, 'poor', 'uplink_loss'],
    [{ roundTrip: 0.6 }, 'poor', 'slow'],
    [{ freezeSeconds: 0.2 }, 'fair', 'frozen'],
    [{ lost: 50, uplinkLoss: 0.2 }, 'poor', 'uplink_loss'],
  ])('%o is %s because of %s', (change, grade, cause) => {
    expect(later(change)).toMatchObject({ grade, cause })
  })
  it('a counter that started again is no loss', () => {
    expect(verdict(reading({ lost: 50, received: 900 }), reading({ at: 2000 }))).toMatchObject({ grade: 'good', lossPercent: 0 })
  })

  it('reads the inbound stream and the chosen path', () => {
    const entries = [
      { type: 'codec' },
      { type: 'inbound-rtp', packetsReceived: 7, packetsLost: 1, framesDecoded: 3, totalAudioEnergy: 0.5, jitterBufferDelay: 2, jitterBufferEmittedCount: 100 },
    ]
    expect(consumerStats(entries, { consumerId: 'k', peerId: 'p', source: 'camera', kind: 'video' })).toMatchObject({
      packetsReceived: 7, packetsLost: 1, framesDecoded: 3, audioEnergy: 0.5, jitterBufferDelayMs: 20,
    })
    expect(linkFigures([
      { type: 'candidate-pair', nominated: false, currentRoundTripTime: 9 },
      { type: 'candidate-pair', nominated: true, currentRoundTripTime: 0.04 },
      { type: 'remote-inbound-rtp', fractionLost: 0.02 },
    ])).toEqual({ roundTrip: 0.04, uplinkLoss: 0.02 })
  })
})

describe('Roster', () => {
  const producer = { id: 'a', kind: 'audio' as const, source: 'microphone' as const, paused: false }
  const filled = () => {
    const roster = new Roster()
    roster.reset({ peers: [{ id: 'p', displayName: 'x', role: 'expert', producers: [producer] }], chat: [], recording: { state: 'off', startedAt: null, recordingId: null }, startedAt: null })
    return roster
  }

  it('follows what a peer publishes', () => {
    const roster = filled()
    expect(roster.apply('producerPaused', { peerId: 'p', producerId: 'a' })).toBe(true)
    expect(roster.list()[0]?.producers[0]?.paused).toBe(true)
    roster.apply('producerAdded', { peerId: 'p', producer: { ...producer, id: 'b', source: 'screen', kind: 'video' } })
    roster.apply('producerClosed', { peerId: 'p', producerId: 'a' })
    expect(roster.list()[0]?.producers.map(({ id }) => id)).toEqual(['b'])
    expect(producer.paused).toBe(false)
  })

  it('ignores events about strangers', () => {
    const roster = filled()
    expect(roster.apply('producerPaused', { peerId: 'q', producerId: 'a' })).toBe(false)
    expect(roster.apply('peerLeft', { peerId: 'q' })).toBe(false)
  })

  it('keeps a bounded chat without repeats', () => {
    const roster = filled()
    for (let index = 0; index < 120; index += 1) roster.apply('chat', { id: `m${index}`, from: 'p', displayName: 'x', text: `${index}`, at: index })
    expect(roster.apply('chat', { id: 'm119', from: 'p', displayName: 'x', text: '119', at: 119 })).toBe(false)
    expect(roster.chat()).toHaveLength(100)
    expect(roster.chat().at(-1)?.text).toBe('119')
  })
})

describe('Emitter', () => {
  it('stops calling a listener that was removed', () => {
    const emitter = new Emitter<{ tick: number }>()
    const heard: number[] = []
    const stop = emitter.on('tick', (value) => heard.push(value))
    emitter.emit('tick', 1)
    stop()
    emitter.emit('tick', 2)
    expect(heard).toEqual([1])
  })
})
