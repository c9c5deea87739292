/**
 * How far behind the newest data the trace is drawn, so that it moves evenly although frames come in pieces.
 *
 * A frame that ends at device time e arrives at a; lateness = a - e (line delay plus clock offset). Drawing at
 * head(now) = now - delay never runs dry when delay >= frame duration + lateness of the next frame. So: the least
 * lateness seen, one frame, and a margin for jitter. The margin is the smallest with which the trace would have
 * stood still for no more than a set part of the time lately: a line that loses packets gets more of it than an
 * even one, whose picture stays young.
 */
const MARGIN_MIN_MS = 12
/** With it a line of 80 ms there and back stays within 400 ms. At 3 % loss, 20 ms there and back, a trace stands for 0.7 % of the time, and 300 more would mend 0.2 of it. */
const MARGIN_MAX_MS = 280
const MARGIN_STEP_MS = 4
/** Of the time; what is aimed at is a third of what may be seen (1 %), for the next half minute has other losses. */
const STOPPED_PART = 0.003
/** Frames of 60 ms make 500 of it, and not less than this when it has only begun. */
const REMEMBERED_MS = 30_000
const REMEMBERED_LEAST_MS = 10_000
/** And never more frames than this, however short they are. */
const REMEMBERED = 1_500
/** The least lateness and the longest frame are of so long: a line may change its way, a device the length of its frames. */
const NEAR_MS = 5_000
/** What comes in a burst after a cut says nothing about jitter; nor does what is missing. */
const CUT_MS = 1_000
/** A viewer first gets the last seconds in one burst; only the newest frame of it says how far away the device is. */
const HISTORY_MS = 500
/** A shrinking delay is followed by at most 2 %: the trace runs a little faster, which nobody sees. */
const RELAX_MS_PER_MS = 0.02
/** So much less is not relaxed but taken at once. */
const JUMP_MS = 400

interface Arrival {
  atMs: number
  endMs: number
  durationMs: number
}

export class Playout {
  private arrivals: Arrival[] = []
  private firstAt: number | null = null
  private wanted = 0
  private current: number | null = null
  private at = 0

  /** A live frame arrived. All in ms; `endMs` = device time after its last sample. */
  arrived(nowMs: number, endMs: number, durationMs: number): void {
    this.firstAt ??= nowMs
    const arrival = { atMs: nowMs, endMs, durationMs }
    if (nowMs - this.firstAt < HISTORY_MS) {
      const known = this.arrivals[0]
      if (!known || nowMs - endMs < known.atMs - known.endMs) this.arrivals = [arrival]
    } else {
      this.arrivals.push(arrival)
      while (this.arrivals.length > REMEMBERED || nowMs - (this.arrivals[0] as Arrival).atMs > REMEMBERED_MS) this.arrivals.shift()
    }
    this.wanted = this.settle()
  }

  /** What the delay should be now. */
  target(): number {
    return this.wanted
  }

  private settle(): number {
    const [first, last] = [this.arrivals[0] as Arrival, this.arrivals[this.arrivals.length - 1] as Arrival]
    let [least, frame] = [Infinity, 0]
    for (const { atMs, endMs, durationMs } of this.arrivals) {
      if (last.atMs - atMs > NEAR_MS) continue
      least = Math.min(least, atMs - endMs)
      frame = Math.max(frame, durationMs)
    }
    const allowed = STOPPED_PART * Math.max(REMEMBERED_LEAST_MS, last.atMs - first.atMs)
    // The stop only shrinks as the delay grows.
    let [low, high] = [0, Math.ceil((MARGIN_MAX_MS - MARGIN_MIN_MS) / MARGIN_STEP_MS)]
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if (this.stopped(least + MARGIN_MIN_MS + middle * MARGIN_STEP_MS) <= allowed) high = middle
      else low = middle + 1
    }
    return least + frame + MARGIN_MIN_MS + low * MARGIN_STEP_MS
  }

  /**
   * For how long the trace would have stood still, ms, from where it ran dry until more came: with this delay and a frame,
   * each frame's own length, for what was long or short lately says nothing of the line.
   */
  private stopped(line: number): number {
    let sum = 0
    for (let index = 1; index < this.arrivals.length; index += 1) {
      const [before, next] = [this.arrivals[index - 1] as Arrival, this.arrivals[index] as Arrival]
      const missing = next.endMs - next.durationMs - before.endMs
      if (missing > next.durationMs / 2 || next.atMs - before.atMs > CUT_MS) continue
      sum += Math.max(0, next.atMs - Math.max(before.atMs, before.endMs + next.durationMs + line))
    }
    return sum
  }

  /** Device time (ms) that is due to be drawn at `nowMs`, or null before the first frame. */
  due(nowMs: number): number | null {
    if (this.arrivals.length === 0) return null
    const target = this.wanted
    const passed = Math.max(0, nowMs - this.at)
    this.at = nowMs
    // The first second's history frames make the first estimates far too large: only a small surplus is relaxed slowly.
    if (this.current === null || target >= this.current || this.current - target > JUMP_MS) this.current = target
    else this.current = Math.max(target, this.current - passed * RELAX_MS_PER_MS)
    return nowMs - this.current
  }
}
