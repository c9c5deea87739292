import { describe, expect, it, vi } from 'vitest'
import { framesIn, Past, PastError, PIECE_MS, type Extent, type PastSource } from './past'
import { PastRing } from './pastRing'
import { frame, streamInfo } from './testing'

/** A frame as the server sends it: 100 ms at 100 Hz of one lead, plain. */
function wire(sequence: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(52 + 20 + 4)
  const view = new DataView(bytes.buffer)
  bytes.set([0x48, 0x5a, 1, 0])
  view.setBigUint64(20, BigInt(sequence), true)
  view.setUint32(36, 100_000, true)
  view.setUint8(40, 1)
  view.setUint16(42, 10, true)
  view.setUint32(48, 20, true)
  for (let at = 0; at < 10; at += 1) view.setInt16(52 + at * 2, sequence, true)
  let crc = 0xffffffff
  for (const byte of bytes.subarray(0, 72)) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  view.setUint32(72, (crc ^ 0xffffffff) >>> 0, true)
  return bytes
}

function answer(entries: { atMs: number; sequence: number }[]): ArrayBuffer {
  const parts = entries.map(({ atMs, sequence }) => {
    const bytes = new Uint8Array(12 + 76)
    const view = new DataView(bytes.buffer)
    view.setUint32(0, 76, true)
    view.setBigInt64(4, BigInt(Math.round(atMs * 1e6)), true)
    bytes.set(wire(sequence), 12)
    return bytes
  })
  return Uint8Array.from(parts.flatMap((part) => [...part])).buffer
}

const START = 1_000_000_000_000
const info = streamInfo({ samplingRateHz: 100, leads: [{ code: 'I', scale: 1, baseline: 0 }] })

/** A stored stream of 100 s that begins 4 s into a piece; the frames in `missing` are not stored. */
function stored(missing = new Set<number>()): PastSource & { asked: number[] } {
  const extent: Extent = { startMs: START + 4_000, endMs: START + 104_000, alarms: [] }
  const asked: number[] = []
  return {
    asked,
    extent: () => Promise.resolve(extent),
    part: (fromMs, toMs) => {
      asked.push((fromMs - START) / PIECE_MS)
      const entries = Array.from({ length: 1_000 }, (_unused, sequence) => ({ sequence, atMs: extent.startMs + sequence * 100 }))
      return Promise.resolve(answer(entries.filter(({ sequence, atMs }) => atMs + 100 > fromMs && atMs < toMs && !missing.has(sequence))))
    },
    overview: () => Promise.resolve(new Int16Array()),
  }
}

async function settled(past: Past, fromMs: number, toMs: number): Promise<void> {
  await vi.waitFor(() => expect(past.want(fromMs, toMs)).toBe('ready'))
}

describe('a stored stream looked back at', () => {
  it('fetches what is wanted, newest first, and knows what it has', async () => {
    const source = stored()
    const changed = vi.fn()
    const past = new Past(info, source, changed)
    expect(past.want(START + 25_000, START + 45_000)).toBe('loading')
    await settled(past, START + 25_000, START + 45_000)
    expect(source.asked).toEqual([4, 3, 2])
    const ring = past.ring as PastRing
    expect(ring.runs(2_000, 5_000)).toEqual([{ start: 2_000, end: 5_000 }])
    // The sample at a moment is the one that was measured then.
    expect(ring.value(ring.indexAt(START + 30_050), 0)).toBe(260)
    past.want(START + 25_000, START + 45_000)
    expect(source.asked).toHaveLength(3)
    expect(changed).toHaveBeenCalled()
  })

  it('asks again for what was missing, and never for what is whole', async () => {
    let now = 0
    const missing = new Set([100, 101])
    const source = stored(missing)
    const past = new Past(info, source, () => undefined, () => now)
    await settled(past, START + 10_000, START + 20_000)
    expect((past.ring as PastRing).runs(1_000, 2_000, false)).toEqual([{ start: 1_400, end: 1_420 }])
    past.want(START + 10_000, START + 20_000)
    expect(source.asked).toEqual([1])
    missing.clear()
    now = 3_000
    // Shown as it was, meanwhile.
    expect(past.want(START + 10_000, START + 20_000)).toBe('ready')
    await vi.waitFor(() => expect((past.ring as PastRing).runs(1_000, 2_000, false)).toEqual([]))
    now = 9_000
    past.want(START + 10_000, START + 20_000)
    expect(source.asked).toEqual([1, 1])
  })

  it('says why a part did not come, and fetches it when a person asks again', async () => {
    const why = { zh: '忙', en: 'busy' }
    const source = stored()
    const good = source.part
    source.part = () => Promise.reject(new PastError(why))
    const past = new Past(info, source, () => undefined)
    await vi.waitFor(() => expect(past.want(START + 10_000, START + 20_000)).toBe('failed'))
    expect(past.why).toEqual(why)
    source.part = good
    expect(past.want(START + 10_000, START + 20_000)).toBe('failed')
    past.want(START + 10_000, START + 20_000, true)
    await settled(past, START + 10_000, START + 20_000)
  })

  it('lets go what is no longer wanted, and forgets what is far away', async () => {
    const source = stored()
    const aborted: number[] = []
    const slow = { ...source, part: (fromMs: number, _toMs: number, abort?: AbortSignal) => new Promise<ArrayBuffer>((_resolve, reject) => {
      abort?.addEventListener('abort', () => {
        aborted.push((fromMs - START) / PIECE_MS)
        reject(new DOMException('', 'AbortError'))
      })
    }) }
    const past = new Past(info, slow, () => undefined)
    await vi.waitFor(() => expect(past.open()).toBe('ready'))
    past.want(START + 10_000, START + 30_000)
    past.want(START + 60_000, START + 70_000)
    expect(aborted).toEqual([2, 1])
  })

  it('begins where the stream does', async () => {
    const past = new Past(info, stored(), () => undefined)
    await settled(past, START - 50_000, START + 10_000)
    expect((past.ring as PastRing).oldest).toBe(400)
  })
})

describe('PastRing', () => {
  it('joins pieces that were fetched apart, in any order', () => {
    for (const order of [[0, 1, 2, 3], [2, 3, 0, 1], [0, 1, 3, 2]]) {
      const ring = new PastRing(info, START, START)
      // The clock's line is a few ms off in the second piece.
      for (const sequence of order) ring.write(frame(sequence, { leads: 1, timeMs: START + 1_000 + sequence * 100 + (sequence >= 2 ? 7 : 0) }))
      expect(ring.runs(100, 140, false)).toEqual([])
      expect(ring.latest - 100).toBeGreaterThanOrEqual(40)
      expect(ring.latest - 100).toBeLessThanOrEqual(41)
    }
  })

  it('takes a dropped piece again', () => {
    const ring = new PastRing(info, START, START)
    const one = frame(5, { leads: 1, timeMs: START + 500 })
    expect(ring.write(one)).toEqual({ start: 50, end: 60 })
    expect(ring.write(one)).toBeNull()
    ring.drop({ start: 0, end: 55 })
    expect(ring.runs(0, 100)).toEqual([{ start: 55, end: 60 }])
    expect(ring.write(one)).toEqual({ start: 50, end: 60 })
  })
})

it('takes apart what was cut off no further than it goes', () => {
  const whole = answer([{ sequence: 1, atMs: START }, { sequence: 2, atMs: START + 100.25 }])
  expect(framesIn(whole).map(({ atMs }) => Math.round((atMs - START) * 100))).toEqual([0, 10_025])
  for (let length = 0; length < whole.byteLength; length += 7) expect(framesIn(whole.slice(0, length)).length).toBe(Math.floor(length / 88))
})
