/** The signals of a room: frames in, moving pictures and figures out. The clock is passed in; the thread it runs on does not matter. */
import type { Frame } from './frame'
import { Pane, type MonitorState, type PaneFigures, type Stream, type ViewSpan } from './pane'
import { Playout } from './playout'
import { SignalRing, type StreamInfo } from './ring'
import type { Sweep, ViewOptions } from './sweep'

/** How far one can look back. */
export const PAST_SECONDS = 600
/** Of an ECG that is not shown: a whole sheet at 25 mm/s on a wide screen, when someone chooses it. */
const UNSEEN_SECONDS = 40
/** 12 leads at 1 kHz take 15 MB in ten minutes; a stream that would take more than this is kept for a shorter time. */
const MAX_STREAM_BYTES = 32_000_000
/** The server has 16 running streams a room at most; each restart of a device is a new one. */
const MAX_STREAMS = 32

export interface StreamChoice {
  streamId: string
  kind: string
  label: string
  live: boolean
}

export interface EcgStatus extends PaneFigures {
  state: MonitorState
  /** the ECG that is shown */
  stream: StreamInfo | null
  streams: StreamChoice[]
  span: ViewSpan | null
  /** frames that were refused as damaged */
  damaged: number
}

function keepable(info: StreamInfo, seconds: number): number {
  return Math.min(seconds, MAX_STREAM_BYTES / (info.samplingRateHz * (2 * info.leads.length + 1)))
}

export class Monitor {
  private readonly streams = new Map<string, Stream>()
  private readonly main: Pane
  private readonly lanes = new Map<string, Pane>()
  damaged = 0

  constructor(sweep: Sweep) {
    this.main = new Pane(sweep)
  }

  /** The streams of the room; the first live ECG is shown, and stays shown when others come. */
  streamsAre(infos: StreamInfo[]): void {
    for (const info of infos) this.streamIs(info)
  }

  streamIs(info: StreamInfo): void {
    if (info.leads.length === 0 || !(info.samplingRateHz > 0)) return
    const known = this.streams.get(info.streamId)
    const live = info.live ?? true
    if (known) known.live = live
    else this.streams.set(info.streamId, { info, ring: new SignalRing(info, keepable(info, UNSEEN_SECONDS)), playout: new Playout(), live })
    this.forgetEnded()
    const shown = this.main.stream
    if (info.kind === 'ecg' && (!shown || (!shown.live && live))) this.choose(info.streamId)
  }

  private forgetEnded(): void {
    for (const [id, stream] of this.streams) {
      if (this.streams.size <= MAX_STREAMS) return
      if (!stream.live && stream !== this.main.stream) this.streams.delete(id)
    }
  }

  streamEnded(streamId: string): void {
    const stream = this.streams.get(streamId)
    if (!stream) return
    stream.live = false
    const other = [...this.streams.values()].find(({ live, info }) => live && info.kind === 'ecg')
    if (stream === this.main.stream && other) this.choose(other.info.streamId)
  }

  /** Shows this ECG. */
  choose(streamId: string): void {
    const stream = this.streams.get(streamId)
    if (!stream || stream === this.main.stream) return
    const before = this.main.stream
    before?.ring.keep(keepable(before.info, UNSEEN_SECONDS))
    stream.ring.keep(keepable(stream.info, PAST_SECONDS))
    this.main.show(stream)
  }

  /** A signal of another kind gets a picture of its own, or (null) loses it. */
  lane(streamId: string, sweep: Sweep | null): void {
    const stream = this.streams.get(streamId)
    this.lanes.delete(streamId)
    if (!sweep || !stream) return
    const pane = new Pane(sweep)
    stream.ring.keep(keepable(stream.info, PAST_SECONDS))
    pane.show(stream)
    this.lanes.set(streamId, pane)
  }

  setLane(streamId: string, options: ViewOptions): void {
    this.lanes.get(streamId)?.set(options)
  }

  frame(frame: Frame, nowMs: number): void {
    const stream = this.streams.get(frame.streamId)
    const run = stream?.ring.write(frame)
    if (!stream || !run) return
    if (!frame.backfill) stream.playout.arrived(nowMs, stream.ring.timeMs(run.end), (frame.count * 1000) / frame.rateHz)
    if (stream === this.main.stream) this.main.frame(frame, run, nowMs)
    this.lanes.get(frame.streamId)?.frame(frame, run, nowMs)
  }

  /** Shows the past that ends at a device time; `here`: what is drawn now; null: what comes. */
  look(end: number | 'here' | null): void {
    const here = this.main.span()?.headMs ?? null
    for (const pane of [this.main, ...this.lanes.values()]) pane.look(end === 'here' ? here : end)
  }

  /** One picture. `hidden`: nobody can see it. */
  tick(nowMs: number, hidden = false): void {
    this.main.tick(nowMs, hidden)
    for (const pane of this.lanes.values()) pane.tick(nowMs, hidden)
  }

  status(nowMs: number): EcgStatus {
    return {
      ...this.main.figures(),
      state: this.main.state(nowMs),
      stream: this.main.stream?.info ?? null,
      streams: [...this.streams.values()].map(({ info, live }) => ({ streamId: info.streamId, kind: info.kind, label: info.label, live })),
      span: this.main.span(),
      damaged: this.damaged,
    }
  }
}
