/**
 * How far behind the newest data the trace is drawn, so that it moves evenly although frames come in pieces of 100 ms.
 *
 * A frame that ends at device time e arrives at a; lateness = a - e (line delay plus clock offset). Drawing at
 * head(now) = now - delay never runs dry when delay >= frame duration + lateness of the next frame. So: the least
 * lateness seen, one frame, and a margin for jitter that follows what the line shows, within fixed bounds.
 */
const MARGIN_MIN_MS = 12
const MARGIN_MAX_MS = 80
/** About five seconds of frames. */
const REMEMBERED = 50
/** A viewer first gets the last seconds in one burst; only the newest frame of it says how far away the device is. */
const HISTORY_MS = 500
/** A shrinking delay is followed by at most 2 %: the trace runs a little faster, which nobody sees. */
const RELAX_MS_PER_MS = 0.02

export class Playout {
  private readonly lateness: number[] = []
  private frameMs = 100
  private firstAt: number | null = null
  private current: number | null = null
  private at = 0

  /** A live frame arrived. All in ms; `endMs` = device time after its last sample. */
  arrived(nowMs: number, endMs: number, durationMs: number): void {
    this.frameMs = durationMs
    this.firstAt ??= nowMs
    const late = nowMs - endMs
    if (nowMs - this.firstAt < HISTORY_MS) {
      this.lateness[0] = Math.min(late, this.lateness[0] ?? late)
      return
    }
    this.lateness.push(late)
    if (this.lateness.length > REMEMBERED) this.lateness.shift()
  }

  /** What the delay should be now. */
  target(): number {
    const sorted = [...this.lateness].sort((a, b) => a - b)
    const least = sorted[0] ?? 0
    // Frames of a burst after a cut say nothing about jitter.
    const usual = sorted.filter((value) => value - least < 1000)
    const high = usual[Math.floor((usual.length - 1) * 0.95)] ?? least
    const margin = Math.min(MARGIN_MAX_MS, Math.max(MARGIN_MIN_MS, high - least + 4))
    return least + this.frameMs + margin
  }

  /** Device time (ms) that is due to be drawn at `nowMs`, or null before the first frame. */
  due(nowMs: number): number | null {
    if (this.lateness.length === 0) return null
    const target = this.target()
    const passed = Math.max(0, nowMs - this.at)
    this.at = nowMs
    // The first second's history frames make the first estimates far too large: only a small surplus is relaxed slowly.
    if (this.current === null || target >= this.current || this.current - target > MARGIN_MAX_MS) this.current = target
    else this.current = Math.max(target, this.current - passed * RELAX_MS_PER_MS)
    return nowMs - this.current
  }
}
