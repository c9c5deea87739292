import { describe, expect, it } from 'vitest'
import { crc32, FrameError, parseFrame, undoDelta } from './frame'

// Made by media/signals/frames.py encode(): 2 leads, 500 Hz, 4 samples [[0,100],[1,-100],[-32768,32767],[32767,-32768]].
const HEAD = '018f3c5e7b1a7c3d8e2f0123456789ab020100000000000015cd55f55172861820a10700020004004261c106'
const DELTA = `485a0101${HEAD}18000000789c63606064f85fffff7f0a83c5ffe40646060030ed05fda353834c`
const PLAIN = `485a0100${HEAD}100000000000640001009cff0080ff7fff7f00806daf3cdc`
const MARKED = `485a0107${HEAD}18000000789c63606064f85fffff7f0a83c5ffe40646060030ed05fd4491b911`
const VALUES = [0, 100, 1, -100, -32768, 32767, 32767, -32768]

function bytes(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16))
}

/** A changed frame whose checksum is right again, so that the next check is reached. */
function resealed(hex: string, change: (view: DataView) => void): ArrayBuffer {
  const all = bytes(hex)
  const view = new DataView(all.buffer)
  change(view)
  view.setUint32(all.length - 4, crc32(all.subarray(0, all.length - 4)), true)
  return all.buffer
}

describe('golden frames', () => {
  it.each([['compressed', DELTA], ['plain', PLAIN]])('%s', (_name, hex) => {
    const frame = parseFrame(bytes(hex).buffer)
    expect(frame).toMatchObject({
      streamId: '018f3c5e-7b1a-7c3d-8e2f-0123456789ab', sequence: 258, rateHz: 500, leads: 2, count: 4, backfill: false, seam: false,
    })
    expect(frame.timeMs).toBe(1767225600123.456)
    expect([...frame.samples]).toEqual(VALUES)
  })

  it('reads the marks for backfill and seam', () => {
    expect(parseFrame(bytes(MARKED).buffer)).toMatchObject({ backfill: true, seam: true })
  })

  it('knows the usual check value of CRC-32', () => {
    expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926)
  })

  it('wraps differences as int16 does', () => {
    expect([...undoDelta(Int16Array.from([32767, 1]), 1, 2)]).toEqual([32767, -32768])
  })
})

describe('broken frames', () => {
  it.each([
    ['a changed byte', bytes(DELTA.replace('020100', '030100')).buffer],
    ['a cut', bytes(DELTA).buffer.slice(0, 70)],
    ['nothing', new ArrayBuffer(0)],
    ['another magic', resealed(PLAIN, (view) => { view.setUint8(0, 0x47) })],
    ['another version', resealed(PLAIN, (view) => { view.setUint8(2, 2) })],
    ['a wrong length', resealed(PLAIN, (view) => { view.setUint32(48, 15, true) })],
    ['more samples than payload', resealed(PLAIN, (view) => { view.setUint16(42, 5, true) })],
    ['no leads', resealed(PLAIN, (view) => { view.setUint8(40, 0) })],
    ['damaged zlib', resealed(DELTA, (view) => { view.setUint8(53, 0xff) })],
    ['zlib that holds less than announced', resealed(DELTA, (view) => { view.setUint16(42, 40, true) })],
    ['zlib that holds more than announced', resealed(DELTA, (view) => { view.setUint16(42, 1, true) })],
    ['too much', new ArrayBuffer(70_000)],
  ])('%s is refused with FrameError', (_name, buffer) => {
    expect(() => parseFrame(buffer)).toThrow(FrameError)
  })

  it('never throws anything else, whichever byte is changed', () => {
    for (let at = 0; at < bytes(DELTA).length; at += 1) {
      const buffer = resealed(DELTA, (view) => { view.setUint8(at, view.getUint8(at) ^ 0x55) })
      const parse = () => {
        try {
          return parseFrame(buffer)
        } catch (error) {
          return error
        }
      }
      const outcome = parse()
      if (outcome instanceof Error) expect(outcome).toBeInstanceOf(FrameError)
    }
  })
})
