/** One stream on one canvas: what is due is drawn, what was drawn is counted. */
import type { Frame } from './frame'
import type { Past, PastState } from './past'
import type { Playout } from './playout'
import type { Run, Sentence, SignalRing, StreamInfo } from './ring'
import type { Strip } from './strip'
import type { Sweep, ViewOptions } from './sweep'

/** The history that a viewer gets at first is no measure of the line. */
const HISTORY_MS = 1_000
/** Without a frame for this long the trace stands still, and the page says so. */
const STALLED_MS = 1_500
const DELAYS_KEPT = 2_000
/** What comes late in a burst is painted so often at most: painting all again costs more than a step of the pen. */
const LATE_EVERY_MS = 250
/** Fetched before a page: what a filter needs, and the rest of a printed strip. */
const BEFORE_PAGE_MS = 12_000
/** What is newer may not be on the server's disk yet: the page at the pen is shown from what is here. */
const NOT_YET_MS = 3_000

export type MonitorState = 'waiting' | 'live' | 'stalled' | 'ended'

/** A stream of the room, whether it is shown or not. */
export interface Stream {
  info: StreamInfo
  ring: SignalRing
  playout: Playout
  live: boolean
}

/**
 * Device times, Unix ms: from when on something can be shown, what was drawn last, and where the page of the past ends (null: the pen is shown).
 * `state`: whether that page is there; `why` it could not be had.
 */
export interface ViewSpan {
  oldestMs: number
  headMs: number
  pastMs: number | null
  state: PastState
  why: Sentence | null
}

/** What the server keeps of a stream, and what leads from the device's clock to the session's, ms. */
export interface Stored {
  past: Past
  clockMs: (atMs: number) => number
}

export interface PaneFigures {
  samplesDrawn: number
  lastSequence: number
  gaps: number
  /** ms for which the pen stood still although it was due to go on, and how often that began */
  stoppedMs: number
  stops: number
  /** device time -> drawn, ms, of the latest frames */
  delays: number[]
}

export class Pane {
  stream: Stream | null = null
  private queue: { sequence: number; start: number; timeMs: number; measured: boolean }[] = []
  private firstFrameAt: number | null = null
  private lastFrameAt = 0
  private late = false
  private latePaintedAt = 0
  private pastMs: number | null = null
  private stored: Stored | null = null
  private pastState: PastState = 'ready'
  private readonly counted: PaneFigures = { samplesDrawn: 0, lastSequence: -1, gaps: 0, stoppedMs: 0, stops: 0, delays: [] }
  private tickedAt: number | null = null
  private standing = false

  constructor(private readonly sweep: Sweep) {}

  set(options: ViewOptions): void {
    this.sweep.set(options)
  }

  show(stream: Stream): void {
    this.stream = stream
    this.close()
    this.queue = []
    this.firstFrameAt = null
    this.pastMs = null
    this.tickedAt = null
    this.sweep.show(stream.info, stream.ring)
  }

  /** A frame of this pane's stream was put at `run`. */
  frame(frame: Frame, run: Run, nowMs: number): void {
    this.firstFrameAt ??= nowMs
    this.lastFrameAt = nowMs
    if (this.sweep.head !== null && run.start < this.sweep.head) {
      // It belongs to what is already drawn.
      this.late = this.sweep.cameLate(run) || this.late
      return
    }
    const measured = !frame.backfill && nowMs - this.firstFrameAt >= HISTORY_MS
    this.queue.push({ sequence: frame.sequence, start: run.start, timeMs: frame.timeMs, measured })
  }

  /** Shows the page that ends at a device time: of what is kept here, or of what the server keeps; null: the pen. */
  look(endMs: number | null, again = true): void {
    const { stream, sweep } = this
    if (!stream || sweep.head === null || endMs === null) {
      this.pastMs = null
      this.pastState = 'ready'
      sweep.look(null)
      return
    }
    const { ring } = stream
    const end = Math.min(sweep.head, Math.round(ring.indexAt(endMs)))
    const begin = Math.floor(end - sweep.seconds * ring.rateHz)
    this.stored?.past.open(again)
    const newest = end > sweep.head - (NOT_YET_MS * ring.rateHz) / 1000
    const whole = newest || (begin >= ring.oldest && !ring.skipped(begin, end))
    if (!whole && this.lookAtStored(ring.timeMs(end), again)) return
    this.pastState = this.stored && !whole && !this.stored.past.extent ? this.stored.past.open() : 'ready'
    const least = Math.min(sweep.head, Math.floor(ring.oldest + sweep.seconds * ring.rateHz))
    this.pastMs = ring.timeMs(Math.max(least, end))
    sweep.look(Math.max(least, end))
  }

  /** False while nothing is known of what the server keeps. */
  private lookAtStored(endMs: number, again: boolean): boolean {
    const { stored, sweep } = this
    const { ring, extent } = stored?.past ?? {}
    if (!stored || !ring || !extent) return false
    const pageMs = sweep.seconds * 1000
    const least = extent.startMs + Math.min(pageMs, extent.endMs - extent.startMs)
    const session = Math.max(least, endMs + stored.clockMs(endMs))
    const state = stored.past.want(session - Math.max(pageMs, BEFORE_PAGE_MS) - BEFORE_PAGE_MS, session, again)
    const changed = this.pastState !== 'ready' || !again
    this.pastState = state
    this.pastMs = session - stored.clockMs(endMs)
    sweep.lookIn(ring, Math.round(ring.indexAt(session)), { there: state === 'ready', changed })
    return true
  }

  /** From now on one can look back over what the server keeps, too. */
  keeps(made: () => Stored): void {
    this.stored ??= made()
  }

  /** Something of what the server keeps came, or failed. */
  storedCame(): void {
    if (this.pastMs !== null) this.look(this.pastMs, false)
  }

  /** Nothing more is fetched. */
  close(): void {
    this.stored?.past.close()
    this.stored = null
    this.pastState = 'ready'
  }

  /** Beats that the analysis found, device time in ms. */
  beats(timesMs: readonly number[]): void {
    const ring = this.stream?.ring
    if (ring && ring.latest > 0) this.sweep.mark(timesMs.map((timeMs) => Math.round(ring.indexAt(timeMs))))
  }

  last(): (number | null)[] {
    return this.sweep.last()
  }

  strip(): Strip | null {
    return this.sweep.strip()
  }

  span(): ViewSpan | null {
    const { stream, sweep } = this
    if (!stream || sweep.head === null) return null
    const here = stream.ring.timeMs(stream.ring.oldest)
    const { past, clockMs } = this.stored ?? {}
    const kept = past?.extent && clockMs ? past.extent.startMs - clockMs(here) : here
    return { oldestMs: Math.min(here, kept), headMs: stream.ring.timeMs(sweep.head), pastMs: this.pastMs, state: this.pastState, why: this.pastState === 'failed' ? (past?.why ?? null) : null }
  }

  /** One picture. `hidden`: nobody can see it, so delays of this step are not counted. */
  tick(nowMs: number, hidden = false): void {
    const due = this.stream?.playout.due(nowMs)
    if (!this.stream || due === null || due === undefined) return
    if (this.late && nowMs - this.latePaintedAt >= LATE_EVERY_MS) {
      this.sweep.refresh()
      this.late = false
      this.latePaintedAt = nowMs
    }
    const before = this.sweep.head
    const progress = this.sweep.advance(this.stream.ring.indexAt(due))
    this.counted.samplesDrawn += progress.drawn
    this.counted.gaps += progress.gaps
    this.watch(this.stream, nowMs, before, hidden)
    this.count(nowMs, !hidden && before !== null && this.pastMs === null)
  }

  /** Whether the pen stands: it ran dry, or waits because the line turned out to be slower than was thought. */
  private watch({ live, ring }: Stream, nowMs: number, before: number | null, hidden: boolean): void {
    const passed = nowMs - (this.tickedAt ?? nowMs)
    this.tickedAt = hidden || before === null ? null : nowMs
    // A signal of a few values a second does not move with each picture.
    if (this.tickedAt === null || !live || passed * ring.rateHz < 1_000) return
    const stands = this.sweep.head === before
    if (stands) this.counted.stoppedMs += passed
    if (stands && !this.standing) this.counted.stops += 1
    this.standing = stands
  }

  private count(nowMs: number, seen: boolean): void {
    const head = this.sweep.head ?? 0
    const { delays } = this.counted
    let taken = 0
    for (const entry of this.queue) {
      if (entry.start >= head) break
      taken += 1
      this.counted.lastSequence = entry.sequence
      if (entry.measured && seen) delays.push(nowMs - entry.timeMs)
    }
    this.queue.splice(0, taken)
    if (delays.length > DELAYS_KEPT) delays.splice(0, delays.length - DELAYS_KEPT)
  }

  figures(): PaneFigures {
    return { ...this.counted, delays: [...this.counted.delays] }
  }

  state(nowMs: number): MonitorState {
    if (!this.stream || this.firstFrameAt === null) return 'waiting'
    if (nowMs - this.lastFrameAt < STALLED_MS) return 'live'
    return this.stream.live ? 'stalled' : 'ended'
  }
}
