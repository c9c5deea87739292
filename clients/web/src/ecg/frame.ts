/**
 * Signal frames as the server forwards them. Layout, little-endian (media/signals/DESIGN.md):
 * 0 'HZ' | 2 version | 3 flags | 4 stream id (16) | 20 u64 sequence | 28 u64 device time, ns | 36 u32 rate, mHz | 40 u8 leads |
 * 41 reserved | 42 u16 samples a lead | 44 u32 descriptor CRC | 48 u32 payload length | 52 payload | last u32 CRC-32 of all before.
 */
import { unzlibSync } from 'fflate'

const HEADER_BYTES = 52
const TRAILER_BYTES = 4
const VERSION = 1
const DELTA = 1
const BACKFILL = 2
const SEAM = 4
/** The server's own bound (media/limits.py); anything longer is not a frame. */
const MAX_FRAME_BYTES = 65_536

export class FrameError extends Error {
  override readonly name = 'FrameError'
}

export interface Frame {
  streamId: string
  sequence: number
  /** Unix time of the first sample, ms with fractions, by the device's clock */
  timeMs: number
  rateHz: number
  leads: number
  /** samples of each lead */
  count: number
  backfill: boolean
  seam: boolean
  /** sample-major: sample 0 of every lead, then sample 1 */
  samples: Int16Array
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_unused, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  return value >>> 0
})

/** CRC-32 as zlib's (IEEE 802.3, reflected). */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0)
  return (crc ^ 0xffffffff) >>> 0
}

function uuidText(bytes: Uint8Array): string {
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

type Header = Omit<Frame, 'samples'> & { compressed: boolean; payload: Uint8Array<ArrayBuffer> }

/** Checks everything but the payload's inside. Throws FrameError on anything that is not a whole, intact frame. */
export function parseHeader(buffer: ArrayBuffer): Header {
  if (buffer.byteLength < HEADER_BYTES + TRAILER_BYTES) throw new FrameError('too short')
  if (buffer.byteLength > MAX_FRAME_BYTES) throw new FrameError('too long')
  const view = new DataView(buffer)
  if (view.getUint8(0) !== 0x48 || view.getUint8(1) !== 0x5a) throw new FrameError('not a frame')
  if (view.getUint8(2) !== VERSION) throw new FrameError('unknown version')
  const payloadLength = view.getUint32(48, true)
  if (HEADER_BYTES + payloadLength + TRAILER_BYTES !== buffer.byteLength) throw new FrameError('wrong length')
  const body = new Uint8Array(buffer, 0, HEADER_BYTES + payloadLength)
  if (crc32(body) !== view.getUint32(HEADER_BYTES + payloadLength, true)) throw new FrameError('checksum')
  const flags = view.getUint8(3)
  const header = {
    streamId: uuidText(new Uint8Array(buffer, 4, 16)),
    sequence: Number(view.getBigUint64(20, true)),
    timeMs: Number(view.getBigUint64(28, true) / 1000n) / 1000,
    rateHz: view.getUint32(36, true) / 1000,
    leads: view.getUint8(40),
    count: view.getUint16(42, true),
    backfill: (flags & BACKFILL) !== 0,
    seam: (flags & SEAM) !== 0,
    compressed: (flags & DELTA) !== 0,
    payload: new Uint8Array(buffer, HEADER_BYTES, payloadLength),
  }
  if (header.leads === 0 || header.count === 0 || header.rateHz === 0) throw new FrameError('empty')
  return header
}

/**
 * zlib (RFC 1950) of exactly `size` bytes; what is beyond is counted, not kept. Not by a DecompressionStream: a frame of 12 leads took the worker
 * 0.7 to 1.4 ms to hand to it, time in which no picture begins. The frame's own checksum stands for zlib's.
 */
function inflate(bytes: Uint8Array, size: number): Uint8Array {
  let whole: Uint8Array
  try {
    whole = unzlibSync(bytes, { out: new Uint8Array(size + 1) })
  } catch {
    throw new FrameError('payload damaged')
  }
  if (whole.length !== size) throw new FrameError('payload length')
  return whole
}

/** First differences, lead after lead, back to samples, sample after sample; int16 arithmetic wraps. */
export function undoDelta(differences: Int16Array, leads: number, count: number): Int16Array {
  const samples = new Int16Array(leads * count)
  for (let lead = 0; lead < leads; lead += 1) {
    let value = 0
    for (let index = 0; index < count; index += 1) {
      value = ((value + (differences[lead * count + index] ?? 0)) << 16) >> 16
      samples[index * leads + lead] = value
    }
  }
  return samples
}

function int16(bytes: Uint8Array): Int16Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Int16Array.from({ length: bytes.byteLength / 2 }, (_unused, index) => view.getInt16(index * 2, true))
}

/** A whole frame. Throws FrameError; never anything else. */
export function parseFrame(buffer: ArrayBuffer): Frame {
  const { compressed, payload, ...frame } = parseHeader(buffer)
  const size = frame.leads * frame.count * 2
  if (!compressed) {
    if (payload.length !== size) throw new FrameError('payload length')
    return { ...frame, samples: int16(payload) }
  }
  const differences = int16(inflate(payload, size))
  return { ...frame, samples: undoDelta(differences, frame.leads, frame.count) }
}

/** A whole frame, or null for what is none. */
export function frameOf(buffer: ArrayBuffer): Frame | null {
  try {
    return parseFrame(buffer)
  } catch {
    return null
  }
}
