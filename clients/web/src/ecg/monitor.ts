/** The signals of a room: frames in, moving pictures and figures out. The clock is passed in; the thread it runs on does not matter. */
import { Findings, type Alarm, type Analysis, type Limits } from './findings'
import type { Frame } from './frame'
import type { StreamClock } from './link'
import { Past, type PastSource } from './past'
import { Pane, type MonitorState, type PaneFigures, type Stream, type ViewSpan } from './pane'
import { Playout } from './playout'
import { SignalRing, type Sentence, type StreamInfo } from './ring'
import type { Strip } from './strip'
import type { Sweep, ViewOptions } from './sweep'

/** What is kept here for looking back; what is older the server has. */
export const PAST_SECONDS = 600
/** Values a few times a second (a fetal heart's rate) fill a page in minutes and are kept for two hours. */
const SLOW_HZ = 10
const SLOW_PAST_SECONDS = 7_200
/** Of an ECG that is not shown: a whole sheet at 25 mm/s on a wide screen, when someone chooses it. */
const UNSEEN_SECONDS = 40
/** 12 leads at 1 kHz take 15 MB in ten minutes; a stream that would take more than this is kept for a shorter time. */
const MAX_STREAM_BYTES = 32_000_000
/** The server has 16 running streams a room at most; each restart of a device is a new one. */
const MAX_STREAMS = 32

/** A signal that is no ECG and has a picture of its own. */
export interface LaneStatus {
  streamId: string
  state: MonitorState
  /** the latest value of each lead, in its unit; null where there is none */
  values: (number | null)[]
}

export interface EcgStatus extends PaneFigures {
  state: MonitorState
  /** the ECG that is shown */
  stream: StreamInfo | null
  /** all of the room */
  streams: (StreamInfo & { live: boolean })[]
  lanes: LaneStatus[]
  span: ViewSpan | null
  /** ms to add to the device's clock to have the session's */
  clockMs: number
  /** of the ECG that is shown; null while nothing was told lately */
  analysis: Analysis | null
  /** of the whole room, what waits for a person first */
  alarms: Alarm[]
  limits: Limits | null
  /** frames that were refused as damaged */
  damaged: number
  /** why the server does not keep what is seen; null: it does */
  trouble: Sentence | null
}

function keepable(info: StreamInfo, seconds: number): number {
  return Math.min(seconds, MAX_STREAM_BYTES / (info.samplingRateHz * (2 * info.leads.length + 1)))
}

export class Monitor {
  private readonly streams = new Map<string, Stream>()
  private readonly main: Pane
  readonly findings = new Findings()
  private readonly clocks = new Map<string, StreamClock>()
  private readonly lanes = new Map<string, Pane>()
  damaged = 0
  trouble: Sentence | null = null

  /** `stored`: where what the server keeps of a stream is had from. */
  constructor(sweep: Sweep, private readonly stored: ((streamId: string) => PastSource) | null = null) {
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
    if (known) [known.live, known.info.message] = [live, info.message ?? null]
    else this.streams.set(info.streamId, { info, ring: new SignalRing(info, keepable(info, UNSEEN_SECONDS)), playout: new Playout(), live })
    this.forgetEnded()
    const shown = this.main.stream
    if (info.kind === 'ecg' && (!shown || (!shown.live && live))) this.choose(info.streamId)
  }

  private forgetEnded(): void {
    for (const [id, stream] of this.streams) {
      if (this.streams.size <= MAX_STREAMS) return
      if (stream.live || stream === this.main.stream) continue
      this.streams.delete(id)
      this.clocks.delete(id)
    }
  }

  streamEnded(streamId: string, why: Sentence | null = null): void {
    const stream = this.streams.get(streamId)
    if (!stream) return
    stream.live = false
    stream.info.message = why
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
    this.lanes.get(streamId)?.close()
    this.lanes.delete(streamId)
    if (!sweep || !stream) return
    const pane = new Pane(sweep)
    stream.ring.keep(keepable(stream.info, stream.info.samplingRateHz <= SLOW_HZ ? SLOW_PAST_SECONDS : PAST_SECONDS))
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

  analysis(analysis: Analysis, nowMs: number): void {
    this.findings.hear(analysis, nowMs)
    if (this.main.stream?.info.streamId === analysis.streamId) this.main.beats(analysis.beats.map((seconds) => seconds * 1000))
  }

  clock(clock: StreamClock): void {
    if (this.streams.has(clock.streamId)) this.clocks.set(clock.streamId, clock)
  }

  /** What leads from a stream's own clock, at a moment of it, to the session's, ms. */
  private clockMs(streamId: string | undefined, atMs: number): number {
    const clock = this.clocks.get(streamId ?? '')
    return clock ? clock.offset * 1000 + (clock.driftPpm / 1e6) * (atMs - clock.at * 1000) : 0
  }

  strip(): Strip | null {
    return this.main.strip()
  }

  /** Shows the past that ends at a device time; `here`: what is drawn now; null: what comes. */
  look(end: number | 'here' | null): void {
    const [shown, headMs] = [this.main.stream?.info.streamId, this.main.span()?.headMs ?? null]
    const endMs = end === 'here' ? headMs : end
    if (endMs !== null) for (const pane of [this.main, ...this.lanes.values()]) this.offer(pane)
    this.main.look(endMs)
    for (const [streamId, lane] of this.lanes) {
      // Each device has a clock of its own: the same moment of the session.
      lane.look(endMs === null ? null : endMs + this.clockMs(shown, endMs) - this.clockMs(streamId, endMs))
    }
  }

  /** Somebody looks back: what the server keeps is asked for from now on. */
  private offer(pane: Pane): void {
    const { info } = pane.stream ?? {}
    if (!info || !this.stored) return
    const source = this.stored(info.streamId)
    pane.keeps(() => ({ past: new Past(info, source, () => pane.storedCame()), clockMs: (atMs) => this.clockMs(info.streamId, atMs) }))
  }

  /** Nothing more is fetched. */
  close(): void {
    for (const pane of [this.main, ...this.lanes.values()]) pane.close()
  }

  /** One picture. `hidden`: nobody can see it. */
  tick(nowMs: number, hidden = false): void {
    this.main.tick(nowMs, hidden)
    for (const pane of this.lanes.values()) pane.tick(nowMs, hidden)
  }

  status(nowMs: number): EcgStatus {
    const shown = this.main.stream?.info.streamId
    const span = this.main.span()
    return {
      ...this.main.figures(),
      state: this.main.state(nowMs),
      stream: this.main.stream?.info ?? null,
      streams: [...this.streams.values()].map(({ info, live }) => ({ ...info, live })),
      lanes: [...this.lanes].map(([streamId, pane]) => ({ streamId, state: pane.state(nowMs), values: pane.last() })),
      span,
      clockMs: this.clockMs(shown, span?.headMs ?? 0),
      analysis: shown === undefined ? null : this.findings.of(shown, nowMs),
      alarms: this.findings.alarms(),
      limits: this.findings.limits,
      damaged: this.damaged,
      trouble: this.trouble,
    }
  }
}
