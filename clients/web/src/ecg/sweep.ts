/**
 * The live picture: a pen that runs over each column from left to right and begins again, wiping what is ahead of it.
 * Nothing that was drawn moves, so nothing shivers, and each step costs only the new samples.
 */
import { layOut, type Layout, type LayoutName, type LayoutWishes } from './layout'
import { hatchPattern, paintGap, paintPaper, paintSeam, paintTraces, STYLES, type AnyCanvas, type Context2d, type Style, type StyleName } from './paint'
import type { SignalRing, StreamInfo } from './ring'

/** Blank paper ahead of the pen. */
const WIPE_MM = 5
/** Redrawn behind the pen, so that the join of two strokes cannot be seen. */
const OVERLAP_PX = 3

export interface ViewOptions {
  width: number
  height: number
  devicePixelRatio: number
  speed: number
  gain: number
  layout: LayoutName
  scale: number
  style: StyleName
}

export const DEFAULT_OPTIONS: ViewOptions = { width: 600, height: 300, devicePixelRatio: 1, speed: 25, gain: 10, layout: 'auto', scale: 1, style: 'paper' }

export interface Progress {
  drawn: number
  gaps: number
}

export class Sweep {
  private layout: Layout | null = null
  private paper: AnyCanvas | null = null
  private hatch: CanvasPattern | null = null
  private stream: { info: StreamInfo; ring: SignalRing } | null = null
  private options: ViewOptions = DEFAULT_OPTIONS
  /** One past the last instant drawn; null before anything is. */
  head: number | null = null
  private openGap: number | null = null

  constructor(
    private readonly canvas: AnyCanvas,
    private readonly context: Context2d,
    private readonly makeCanvas: (width: number, height: number) => AnyCanvas,
  ) {}

  show(info: StreamInfo, ring: SignalRing): void {
    this.stream = { info, ring }
    this.head = null
    this.arrange()
  }

  set(options: ViewOptions): void {
    this.options = options
    this.arrange()
  }

  private get style(): Style {
    return STYLES[this.options.style]
  }

  private arrange(): void {
    const wishes: LayoutWishes = this.options
    const layout = layOut(wishes, this.stream?.info.leads ?? [])
    this.layout = layout
    this.canvas.width = layout.width
    this.canvas.height = layout.height
    const paper = this.makeCanvas(layout.width, layout.height)
    const pen = paper.getContext('2d') as Context2d | null
    if (pen) paintPaper(pen, layout, this.style, this.options)
    this.paper = paper
    this.hatch = hatchPattern(this.context, this.style, this.makeCanvas)
    this.repaint()
  }

  /** Draws the whole visible past again: after a resize, a change of style, backfill, or a long pause. */
  repaint(): void {
    if (!this.layout || !this.paper) return
    this.context.drawImage(this.paper as CanvasImageSource, 0, 0)
    if (!this.stream || this.head === null) return
    const { ring } = this.stream
    const visible = Math.floor((this.layout.seconds - WIPE_MM / this.options.speed) * ring.rateHz)
    this.openGap = null
    this.draw(Math.max(ring.oldest, this.head - visible, 0), this.head, false)
  }

  /** Moves the pen to `target` (a sample instant); tells how many instants were there and how many gaps it crossed. */
  advance(target: number): Progress {
    const { layout, stream } = this
    const progress = { drawn: 0, gaps: 0 }
    if (!layout || !stream) return progress
    const to = Math.min(Math.floor(target), stream.ring.latest)
    if (this.head === null) {
      this.head = to
      this.repaint()
      return progress
    }
    if (to <= this.head) return progress
    for (const run of stream.ring.runs(this.head, to)) progress.drawn += run.end - run.start
    progress.gaps = stream.ring.runs(this.head, to, false).filter((run) => run.start > 0 && stream.ring.has(run.start - 1)).length
    const from = this.head
    this.head = to
    if (to - from > layout.seconds * stream.ring.rateHz) this.repaint()
    else this.draw(from, to, true)
    return progress
  }

  /** Draws [from, to), sweep by sweep. */
  private draw(from: number, to: number, wipe: boolean): void {
    if (!this.layout || !this.stream) return
    const rate = this.stream.ring.rateHz
    const length = this.layout.seconds * rate
    let start = from
    while (start < to) {
      const sweep = Math.floor(start / length)
      const end = Math.min(to, Math.ceil((sweep + 1) * length))
      this.drawPart(start, end, sweep * length, wipe)
      start = end
    }
  }

  private drawPart(from: number, to: number, sweepStart: number, wipe: boolean): void {
    const { layout, stream, context } = this
    if (!layout || !stream) return
    const perInstant = layout.pxPerSecond / stream.ring.rateHz
    const x = (index: number, column: number) => (layout.columns[column]?.left ?? 0) + (index - sweepStart) * perInstant
    const overlap = Math.max(Math.ceil(sweepStart), from - Math.ceil(OVERLAP_PX / perInstant))
    layout.columns.forEach((column, number) => {
      const left = Math.max(column.left, Math.floor(x(from, number)) - 1)
      const right = Math.min(column.right, Math.ceil(x(to, number)) + Math.ceil(WIPE_MM * layout.pxPerMm))
      if (wipe) this.wipe(left, right)
    })
    // Not clipped: the label of a gap that ends here stands in the middle of what was hatched before.
    this.drawGaps(from, to, x)
    context.save()
    context.beginPath()
    layout.columns.forEach((column, number) => {
      const left = Math.max(column.left, Math.floor(x(from, number)) - 1)
      context.rect(left, 0, column.right - left, layout.height)
    })
    context.clip()
    paintTraces(context, layout, this.style, stream.ring, stream.info.leads, Math.max(overlap, stream.ring.oldest), to, x)
    for (const seam of stream.ring.seams(from, to)) {
      layout.columns.forEach((_column, number) => paintSeam(context, layout, this.style, Math.round(x(seam, number)) + 0.5))
    }
    context.fillStyle = this.style.edge
    if (wipe || to === this.head) layout.columns.forEach((_column, number) => context.fillRect(Math.ceil(x(to, number)) + 1, 0, 2, layout.height))
    context.restore()
  }

  private wipe(left: number, right: number): void {
    if (!this.paper || !this.layout || right <= left) return
    const { height } = this.layout
    this.context.drawImage(this.paper as CanvasImageSource, left, 0, right - left, height, left, 0, right - left, height)
  }

  private drawGaps(from: number, to: number, x: (index: number, column: number) => number): void {
    const { layout, stream, context } = this
    if (!layout || !stream) return
    const { ring } = stream
    const missing = ring.runs(from, to, false)
    // A gap that went on from the step before is closed by the first sample that is there.
    if (this.openGap !== null && ring.has(from)) this.openGap = null
    for (const run of missing) {
      const start = run.start === from && this.openGap !== null ? this.openGap : run.start
      const closed = run.end < to || ring.has(run.end)
      this.openGap = closed ? null : start
      const seconds = closed ? (run.end - start) / ring.rateHz : null
      layout.columns.forEach((column, number) => {
        paintGap(context, layout, this.style, Math.max(column.left, x(start, number)), x(run.end, number), seconds, this.hatch)
      })
    }
  }
}
