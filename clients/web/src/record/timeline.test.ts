import { describe, expect, it } from 'vitest'
import { chaptersOf, durationOf, follow, TransportClock, type Player, type RecordedTrack, type Recording } from './timeline'

const track = (peerId: string, source: string, startMs: number, endMs: number): RecordedTrack => ({
  trackId: `${peerId}-${source}`, peerId, participant: null, source, kind: source === 'microphone' ? 'audio' : 'video', url: '', startMs, endMs,
})
const recording = (change: Partial<Recording>): Recording => ({ id: 'r', startedAt: '', endedAt: '', durationMs: 60_000, tracks: [], signals: [], ...change })
const ecg = { streamId: 's', kind: 'ecg', label: '', samplingRateHz: 500, leads: [], startMs: -4_000, endMs: 70_000, url: '', partUrl: '', overviewUrl: '' }

describe('chaptersOf', () => {
  it('tells who came and went, and when ECG and ultrasound began', () => {
    const tracks = [
      track('a', 'microphone', 200, 60_000), track('a', 'camera', 400, 59_500),
      track('b', 'microphone', 12_000, 40_000), track('b', 'camera', 12_400, 39_000), track('us', 'ultrasound', 20_000, 60_000),
    ]
    expect(chaptersOf(recording({ tracks, signals: [ecg] }))).toEqual([
      { atMs: 0, kind: 'start' }, { atMs: 0, kind: 'ecg' }, { atMs: 12_000, kind: 'joined' }, { atMs: 20_000, kind: 'ultrasound' },
      { atMs: 40_000, kind: 'left' }, { atMs: 60_000, kind: 'end' },
    ])
  })

  it('takes the duration from the tracks when it is not told', () => {
    expect(durationOf(recording({ durationMs: null, tracks: [track('a', 'camera', 0, 9_000)] }))).toBe(9_000)
  })
})

describe('TransportClock', () => {
  it('runs, holds, seeks and stops at the end', () => {
    const clock = new TransportClock(10_000)
    clock.run(1_000)
    expect(clock.position(3_500)).toBe(2_500)
    clock.seek(8_000, 4_000)
    expect(clock.position(5_000)).toBe(9_000)
    clock.hold(5_000)
    expect([clock.position(9_000), clock.running]).toEqual([9_000, false])
    clock.run(9_000)
    expect(clock.position(99_000)).toBe(10_000)
    clock.hold(99_000)
    clock.run(99_000)
    expect(clock.position(99_000)).toBe(0)
    clock.seek(-5, 99_000)
    expect(clock.position(99_000)).toBe(0)
  })
})

describe('follow', () => {
  const player = (change: Partial<Player> = {}) => {
    const made = { currentTime: 0, paused: true, readyState: 4, ended: false, duration: 10, play: () => { made.paused = false; return Promise.resolve() }, pause: () => { made.paused = true }, ...change }
    return made
  }
  const span = { startMs: 10_000, endMs: 20_000 }

  it('starts a track when its time has come, and stops it after', () => {
    const one = player()
    follow(one, span, 5_000, true)
    expect([one.paused, one.currentTime]).toEqual([true, 0])
    follow(one, span, 12_000, true)
    expect([one.paused, one.currentTime]).toEqual([false, 2])
    follow(one, span, 20_500, true)
    expect([one.paused, one.currentTime]).toEqual([true, 10])
  })

  it('leaves a player alone that is nearly right', () => {
    const one = player({ currentTime: 2.2, paused: false })
    follow(one, span, 12_000, true)
    expect(one.currentTime).toBe(2.2)
    follow(one, span, 12_000, false)
    expect(one.paused).toBe(true)
  })

  it('asks the others to wait only for a track that should be seen now', () => {
    expect(follow(player({ readyState: 1 }), span, 12_000, true)).toBe(false)
    expect(follow(player({ readyState: 1 }), span, 2_000, true)).toBe(true)
    expect(follow(player({ readyState: 3 }), span, 12_000, true)).toBe(true)
  })

  it('does not wait for a file that is a little shorter than its track', () => {
    const one = player({ duration: 8, currentTime: 8, readyState: 2 })
    expect(follow(one, span, 19_000, true)).toBe(true)
    expect([one.currentTime, one.paused]).toEqual([8, true])
  })
})
