/** A stored signal, fetched and unpacked into one ring that holds all of it. */
import { parseFrame } from '@/ecg/frame'
import { SignalRing } from '@/ecg/ring'
import type { RecordedSignal } from './timeline'

/** Two hours of 18 leads at 1 kHz are about 260 MB: more is not held in a page at once. */
const MAX_SECONDS = 7_200
/** Slack for a device clock that ran a little apart from the server's. */
const SLACK_SECONDS = 5

/** Cuts a stream of bytes into the frames it holds, each after its length (u32, little-endian). */
export class FrameCutter {
  private rest = new Uint8Array(0)

  push(bytes: Uint8Array): ArrayBuffer[] {
    const joined = new Uint8Array(this.rest.length + bytes.length)
    joined.set(this.rest)
    joined.set(bytes, this.rest.length)
    const view = new DataView(joined.buffer)
    const frames: ArrayBuffer[] = []
    let at = 0
    while (at + 4 <= joined.length) {
      const end = at + 4 + view.getUint32(at, true)
      if (end > joined.length) break
      frames.push(joined.buffer.slice(at + 4, end))
      at = end
    }
    this.rest = joined.slice(at)
    return frames
  }
}

/** Rejects when the file cannot be fetched; a damaged frame is left out and stays visible as a gap. */
export async function loadSignal(signal: RecordedSignal, progress: (ring: SignalRing) => void, abort: AbortSignal): Promise<SignalRing> {
  const seconds = Math.min(MAX_SECONDS, (signal.endMs - signal.startMs) / 1000 + SLACK_SECONDS)
  const ring = new SignalRing(signal, seconds)
  const response = await fetch(signal.url, { signal: abort })
  if (!response.ok || !response.body) throw new Error(`HTTP ${response.status}`)
  const reader = response.body.getReader()
  const cutter = new FrameCutter()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return ring
    for (const buffer of cutter.push(value)) {
      const frame = await parseFrame(buffer).catch(() => null)
      if (frame) ring.write(frame)
    }
    progress(ring)
  }
}
