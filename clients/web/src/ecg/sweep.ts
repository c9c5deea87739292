/**
 * The live picture: a pen that runs over each column from left to right and begins again, wiping what is ahead of it.
 * Nothing that was drawn moves, so nothing shivers, and each step costs only the new samples. A page of the past is drawn in its place while
 * someone looks back; the pen goes on unseen.
 */
import { Display } from './display'
import { bandText, UNFILTERED, type FilterChoice } from './filters'
import { axisFor, layOutLane, lineSeconds, seenIn, type Axis, type Seen } from './lane'
import { paintLanePaper } from './lanePaint'
import { layOut, type Column, type Layout, type LayoutWishes } from './layout'
import { gapWords, hatchPattern, paintBeat, paintGap, paintPaper, paintSeam, paintTraces, STYLES, type AnyCanvas, type Context2d, type PlaceX, type StyleName } from './paint'
import type { Run, SignalRing, StreamInfo } from './ring'
import { paintSheet } from './sheet'
import { stripOf, type Strip } from './strip'

/** Ten minutes at 240 a minute. */
const BEATS_KEPT = 2_400
/** An axis follows what was seen for so long at least. */
const SEEN_SECONDS = 10
/** Blank paper ahead of the pen. */
const WIPE_MM = 5
/** Redrawn behind the pen, so that the join of two strokes cannot be seen. */
const OVERLAP_PX = 3

export interface ViewOptions extends LayoutWishes, FilterChoice {
  style: StyleName
  /** what the paper says when nothing is filtered, and of a gap that only the display has; the page knows the language */
  words?: { unfiltered: string; skipped: string }
}

export const DEFAULT_OPTIONS: ViewOptions = {
  width: 600, height: 300, devicePixelRatio: 1, speed: 25, gain: 10, layout: 'auto', scale: 1, style: 'paper', filter: 'off', mains: 0,
}

export interface Progress {
  drawn: number
  gaps: number
}

export class Sweep {
  private layout: Layout | null = null
  private paper: AnyCanvas | null = null
  private hatch: CanvasPattern | null = null
  private stream: { info: StreamInfo; ring: SignalRing } | null = null
  private display: Display | null = null
  private options: ViewOptions = DEFAULT_OPTIONS
  /** One past the last instant drawn; null before anything is. */
  head: number | null = null
  /** A page of the past that ends at this instant is shown instead of the pen. */
  private past: number | null = null
  /** Where that page is from when the ring no longer has it. */
  private stored: { ring: SignalRing; display: Display | null; there: boolean } | null = null
  private openGap: number | null = null
  private beats: number[] = []
  /** of a signal that is no ECG */
  private axis: Axis | null = null
  private axisAt = 0

  constructor(
    private readonly canvas: AnyCanvas,
    private readonly context: Context2d,
    private readonly makeCanvas: (width: number, height: number) => AnyCanvas,
  ) {}

  show(info: StreamInfo, ring: SignalRing): void {
    this.stream = { info, ring }
    this.head = null
    this.past = this.stored = null
    this.beats = []
    this.axis = info.kind === 'ecg' ? null : axisFor(info.kind, info.leads[0]?.unit, null, null)
    this.display = new Display(ring, info.leads, this.axis ? UNFILTERED : this.options)
    this.arrange()
  }

  set(options: ViewOptions): void {
    const refilter = options.filter !== this.options.filter || options.mains !== this.options.mains
    this.options = options
    if (refilter && this.stream && !this.axis) this.display = new Display(this.stream.ring, this.stream.info.leads, options)
    if (refilter && this.stored) this.stored.display = null
    this.arrange()
  }

  /** Shows the page that ends at an instant, or (null) the pen again. */
  look(end: number | null): void {
    if (this.past === end && !this.stored) return
    this.past = end
    this.stored = null
    this.repaint()
  }

  /** Shows a page of another ring, which ends at an instant of that; without `there` the paper is blank. */
  lookIn(ring: SignalRing, end: number, { there, changed }: { there: boolean; changed: boolean }): void {
    const display = this.stored?.ring === ring ? this.stored.display : null
    this.past = end
    this.stored = { ring, display, there }
    if (changed) display?.forget()
    this.repaint()
  }

  /** What the page of the past is taken from. */
  private get shown(): Display | null {
    const { stored, stream } = this
    if (!stored || !stream) return this.display
    stored.display ??= new Display(stored.ring, stream.info.leads, this.axis ? UNFILTERED : this.options)
    return stored.display
  }

  /** What a page shows, seconds. */
  get seconds(): number {
    return this.layout?.seconds ?? 0
  }

  /** Instants before this are not to be seen: what came late there needs no painting. */
  private get visibleFrom(): number {
    const longest = Math.max(0, ...(this.layout?.columns.map(({ seconds }) => seconds) ?? []))
    return Math.floor((this.past ?? this.head ?? 0) - longest * (this.stream?.ring.rateHz ?? 0))
  }

  /** A piece came late; tells whether it is to be seen, so that `refresh` is worth its cost. */
  cameLate(run: Run): boolean {
    if (!this.stored && run.end > this.visibleFrom) return true
    this.display?.forget(run.end)
    return false
  }

  /** Beats that were found behind the pen, as instants. */
  mark(beats: readonly number[]): void {
    const fresh = beats.filter((beat) => !this.beats.includes(beat))
    this.beats = [...this.beats, ...fresh].slice(-BEATS_KEPT)
    const { layout, display, head } = this
    if (!layout || !display || head === null || this.past !== null) return
    for (const column of layout.columns) {
      const length = column.seconds * display.ring.rateHz
      for (const beat of fresh) {
        if (beat >= head || beat < head - this.visible(column)) continue
        const at = beat - Math.floor(beat / length) * length
        paintBeat(this.context, layout, STYLES[this.options.style], column, column.left + (at * layout.pxPerSecond) / display.ring.rateHz)
      }
    }
  }

  /** The ten seconds before the page's end, or before the pen. Null before anything is drawn. */
  strip(): Strip | null {
    const end = this.past ?? this.head
    return this.shown && end !== null && this.stored?.there !== false ? stripOf(this.shown, end, this.options, this.options.order) : null
  }

  refresh(): void {
    this.display?.forget()
    this.repaint()
  }

  private arrange(): void {
    const { options } = this
    const leads = this.stream?.info.leads ?? []
    const layout = this.stream && this.axis ? layOutLane(options, this.stream.info, this.axis) : layOut(options, leads)
    this.layout = layout
    if (this.canvas.width !== layout.width) this.canvas.width = layout.width
    if (this.canvas.height !== layout.height) this.canvas.height = layout.height
    const paper = this.makeCanvas(layout.width, layout.height)
    const pen = paper.getContext('2d') as Context2d | null
    if (pen) this.paintBackground(pen, layout)
    this.paper = paper
    this.hatch = hatchPattern(this.context, STYLES[options.style], this.makeCanvas)
    this.repaint()
  }

  private paintBackground(pen: Context2d, layout: Layout): void {
    const { options, stream, axis } = this
    if (stream && axis) {
      paintLanePaper(pen, layout, STYLES[options.style], axis, lineSeconds(stream.info.kind), options.devicePixelRatio)
      return
    }
    const band = stream ? bandText(options, stream.ring.rateHz) || options.words?.unfiltered : undefined
    paintPaper(pen, layout, STYLES[options.style], { speed: options.speed, gain: options.gain, band })
  }

  /** The latest value of each lead; null where there is none. */
  last(): (number | null)[] {
    const at = (this.head ?? 0) - 1
    return this.layout?.cells.map(({ lead, none }) => {
      const value = this.display?.ring.has(at) ? this.display.value(at, lead) : null
      return value === none ? null : value
    }) ?? []
  }

  /** What was seen lately: of slow signals what the page shows. */
  private seen(): Seen | null {
    const { display, layout, head } = this
    if (!display || !layout || head === null) return null
    return seenIn(display, layout, head - Math.ceil(Math.max(SEEN_SECONDS, layout.seconds) * display.ring.rateHz), head)
  }

  /** Once a second of signal the axis is looked at; tells whether all was painted anew. */
  private followed(): boolean {
    const { stream, axis, head } = this
    if (!stream || !axis || head === null || head - this.axisAt < stream.ring.rateHz) return false
    this.axisAt = head
    const next = axisFor(stream.info.kind, stream.info.leads[0]?.unit, this.seen(), axis)
    if (next === axis) return false
    this.axis = next
    this.arrange()
    return true
  }

  /** Draws the whole visible past again: after a resize, a change of style, backfill, or a long pause. */
  repaint(): void {
    const { layout, paper, context, display, hatch } = this
    if (!layout || !paper) return
    if (!display || this.head === null) {
      context.drawImage(paper as CanvasImageSource, 0, 0)
    } else if (this.past !== null && this.stored) {
      context.drawImage(paper as CanvasImageSource, 0, 0)
      if (this.stored.there && this.shown) paintSheet({ context, layout, style: STYLES[this.options.style], paper: null, hatch }, this.shown, this.past)
    } else if (this.past !== null) {
      paintSheet({ context, layout, style: STYLES[this.options.style], paper, hatch, beats: this.beats, skipped: this.options.words?.skipped }, display, this.past)
    } else {
      context.drawImage(paper as CanvasImageSource, 0, 0)
      this.openGap = null
      layout.columns.forEach((column, number) => {
        this.draw(number, column, Math.max(display.ring.oldest, (this.head ?? 0) - this.visible(column), 0), this.head ?? 0, false)
      })
    }
  }

  /** Instants of a column behind the pen that are not wiped. */
  private visible(column: Column): number {
    if (!this.layout || !this.stream) return 0
    return Math.floor((column.seconds - (WIPE_MM * this.layout.pxPerMm) / this.layout.pxPerSecond) * this.stream.ring.rateHz)
  }

  /** Moves the pen to `target` (a sample instant); tells how many instants were there and how many gaps it crossed. */
  advance(target: number): Progress {
    const { layout, display } = this
    const progress = { drawn: 0, gaps: 0 }
    if (!layout || !display) return progress
    const { ring } = display
    const to = Math.min(Math.floor(target), ring.latest)
    if (this.head === null) {
      this.head = to
      this.repaint()
      return progress
    }
    if (to <= this.head) return progress
    const from = Math.max(this.head, ring.oldest)
    for (const run of ring.runs(from, to)) progress.drawn += run.end - run.start
    progress.gaps = ring.runs(from, to, false).filter((run) => run.start > 0 && ring.has(run.start - 1)).length
    this.head = to
    if (this.followed() || this.past !== null) return progress
    if (to - from > layout.seconds * ring.rateHz) this.repaint()
    else this.step(from, to)
    return progress
  }

  private step(from: number, to: number): void {
    const opened = this.openGap
    this.layout?.columns.forEach((column, number) => {
      this.openGap = opened
      this.draw(number, column, from, to, true)
    })
  }

  /** Draws [from, to) of a column, sweep by sweep. */
  private draw(number: number, column: Column, from: number, to: number, wipe: boolean): void {
    if (!this.display) return
    const length = column.seconds * this.display.ring.rateHz
    for (let start = from; start < to;) {
      const sweep = Math.floor(start / length)
      const end = Math.min(to, Math.ceil((sweep + 1) * length))
      this.drawPart(number, column, start, end, sweep * length, wipe)
      start = end
    }
  }

  private drawPart(number: number, column: Column, from: number, to: number, sweepStart: number, wipe: boolean): void {
    const { layout, display, context } = this
    if (!layout || !display) return
    const { ring } = display
    const style = STYLES[this.options.style]
    const perInstant = layout.pxPerSecond / ring.rateHz
    const x: PlaceX = (index) => column.left + (index - sweepStart) * perInstant
    // The stroke that leads to the first new sample begins at the last old one, which may stand some pixels away.
    const overlap = Math.max(Math.ceil(sweepStart), ring.oldest, from - 1 - Math.ceil(OVERLAP_PX / perInstant))
    const left = Math.max(column.left, Math.floor(x(Math.max(sweepStart, from - 1))) - 1)
    if (wipe) this.wipe(column, left, Math.min(column.right, Math.ceil(x(to)) + Math.ceil(WIPE_MM * layout.pxPerMm)))
    // Not clipped: the label of a gap that ends here stands in the middle of what was hatched before.
    this.drawGaps(column, from, to, x)
    display.prepare(overlap, to)
    context.save()
    context.beginPath()
    context.rect(left, column.top, column.right - left, column.bottom - column.top)
    context.clip()
    paintTraces(context, layout, style, display, number, overlap, to, x)
    for (const beat of this.beats) if (beat >= from && beat < to) paintBeat(context, layout, style, column, x(beat))
    for (const seam of ring.seams(from, to)) paintSeam(context, style, column, Math.round(x(seam)) + 0.5)
    context.fillStyle = style.edge
    if (wipe || to === this.head) context.fillRect(Math.ceil(x(to)) + 1, column.top, 2, column.bottom - column.top)
    context.restore()
  }

  private wipe({ top, bottom }: Column, left: number, right: number): void {
    if (!this.paper || right <= left) return
    this.context.drawImage(this.paper as CanvasImageSource, left, top, right - left, bottom - top, left, top, right - left, bottom - top)
  }

  private drawGaps(column: Column, from: number, to: number, x: PlaceX): void {
    const { layout, display, context } = this
    if (!layout || !display) return
    const { ring } = display
    // A gap that went on from the step before is closed by the first sample that is there.
    if (this.openGap !== null && ring.has(from)) this.openGap = null
    for (const run of ring.runs(from, to, false)) {
      const start = run.start === from && this.openGap !== null ? this.openGap : run.start
      const closed = run.end < to || ring.has(run.end)
      this.openGap = closed ? null : start
      const skipped = ring.skipped(start, run.end) ? (this.options.words?.skipped ?? null) : null
      const words = closed ? gapWords((run.end - start) / ring.rateHz, skipped) : []
      paintGap(context, layout, STYLES[this.options.style], column, Math.max(column.left, x(start)), x(run.end), words, this.hatch)
    }
  }
}
