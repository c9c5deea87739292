/** One live ECG: frames in, moving picture and figures out. The clock is passed in; the thread it runs on does not matter. */
import type { Frame } from './frame'
import { Playout } from './playout'
import { SignalRing, type StreamInfo } from './ring'
import type { Sweep } from './sweep'

/** Enough for a whole sheet at 25 mm/s on a wide screen and for what a cut leaves to be filled in. */
export const RING_SECONDS = 40
/** The history that a viewer gets at first is no measure of the line. */
const HISTORY_MS = 1_000
/** Without a frame for this long the trace stands still, and the page says so. */
const STALLED_MS = 1_500
const DELAYS_KEPT = 2_000

export type MonitorState = 'waiting' | 'live' | 'stalled' | 'ended'

export interface EcgStatus {
  state: MonitorState
  stream: { streamId: string; label: string; leads: number; rateHz: number } | null
  samplesDrawn: number
  lastSequence: number
  gaps: number
  /** device time -> drawn, ms, of the latest frames */
  delays: number[]
  /** frames that were refused as damaged */
  damaged: number
}

export class Monitor {
  private readonly streams = new Map<string, { info: StreamInfo; ring: SignalRing; playout: Playout; live: boolean }>()
  private shown: string | null = null
  private queue: { sequence: number; start: number; timeMs: number; measured: boolean }[] = []
  private firstFrameAt: number | null = null
  private lastFrameAt = 0
  private frozen = false
  private late = false
  private samplesDrawn = 0
  private lastSequence = -1
  private gaps = 0
  private delays: number[] = []
  damaged = 0

  constructor(private readonly sweep: Sweep) {}

  /** The streams of the room; the first live ECG is shown, and stays shown when others come. */
  streamsAre(infos: StreamInfo[]): void {
    for (const info of infos) this.streamIs(info)
  }

  streamIs(info: StreamInfo): void {
    if (info.leads.length === 0 || !(info.samplingRateHz > 0)) return
    const known = this.streams.get(info.streamId)
    const live = info.live ?? true
    if (known) known.live = live
    else this.streams.set(info.streamId, { info, ring: new SignalRing(info, RING_SECONDS), playout: new Playout(), live })
    const current = this.shown === null ? undefined : this.streams.get(this.shown)
    if (!current || (!current.live && live)) this.select(info.streamId)
  }

  streamEnded(streamId: string): void {
    const stream = this.streams.get(streamId)
    if (!stream) return
    stream.live = false
    const other = [...this.streams.values()].find(({ live }) => live)
    if (streamId === this.shown && other) this.select(other.info.streamId)
  }

  private select(streamId: string): void {
    const stream = this.streams.get(streamId)
    if (!stream || this.shown === streamId) return
    this.shown = streamId
    this.queue = []
    this.firstFrameAt = null
    this.sweep.show(stream.info, stream.ring)
  }

  frame(frame: Frame, nowMs: number): void {
    const stream = this.streams.get(frame.streamId)
    const run = stream?.ring.write(frame)
    if (!stream || !run) return
    const durationMs = (frame.count * 1000) / frame.rateHz
    if (!frame.backfill) stream.playout.arrived(nowMs, stream.ring.timeMs(run.end), durationMs)
    if (frame.streamId !== this.shown) return
    this.firstFrameAt ??= nowMs
    this.lastFrameAt = nowMs
    if (this.sweep.head !== null && run.start < this.sweep.head) {
      // Late: it belongs to what is already drawn. A burst of such frames is painted once.
      this.late = true
      return
    }
    const measured = !frame.backfill && nowMs - this.firstFrameAt >= HISTORY_MS
    this.queue.push({ sequence: frame.sequence, start: run.start, timeMs: frame.timeMs, measured })
  }

  freeze(frozen: boolean): void {
    this.frozen = frozen
  }

  /** One picture. `hidden`: nobody can see it, so delays of this step are not counted. */
  tick(nowMs: number, hidden = false): void {
    const stream = this.shown === null ? undefined : this.streams.get(this.shown)
    const due = stream?.playout.due(nowMs)
    if (!stream || due === null || due === undefined || this.frozen) return
    if (this.late) this.sweep.repaint()
    this.late = false
    const first = this.sweep.head === null
    const progress = this.sweep.advance(stream.ring.indexAt(due))
    this.samplesDrawn += progress.drawn
    this.gaps += progress.gaps
    const head = this.sweep.head ?? 0
    let taken = 0
    for (const entry of this.queue) {
      if (entry.start >= head) break
      taken += 1
      this.lastSequence = entry.sequence
      if (entry.measured && !hidden && !first) this.delays.push(nowMs - entry.timeMs)
    }
    this.queue.splice(0, taken)
    if (this.delays.length > DELAYS_KEPT) this.delays.splice(0, this.delays.length - DELAYS_KEPT)
  }

  status(nowMs: number): EcgStatus {
    const stream = this.shown === null ? undefined : this.streams.get(this.shown)
    return {
      state: this.state(stream?.live, nowMs),
      stream: stream
        ? { streamId: stream.info.streamId, label: stream.info.label, leads: stream.info.leads.length, rateHz: stream.info.samplingRateHz }
        : null,
      samplesDrawn: this.samplesDrawn,
      lastSequence: this.lastSequence,
      gaps: this.gaps,
      delays: [...this.delays],
      damaged: this.damaged,
    }
  }

  private state(live: boolean | undefined, nowMs: number): MonitorState {
    if (live === undefined || this.firstFrameAt === null) return 'waiting'
    if (nowMs - this.lastFrameAt < STALLED_MS) return 'live'
    return live ? 'stalled' : 'ended'
  }
}
