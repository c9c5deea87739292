/** Drawing, and only drawing: paper, traces, gaps. Works on a page's canvas and on one off the main thread alike. */
import type { Display } from './display'
import type { Column, Layout } from './layout'

export type Context2d = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D
export type AnyCanvas = HTMLCanvasElement | OffscreenCanvas
export type StyleName = 'paper' | 'monitor'

export interface Style {
  paper: string
  minor: string
  major: string
  trace: string
  label: string
  edge: string
  gap: string
  gapText: string
}

export const STYLES: Record<StyleName, Style> = {
  paper: {
    paper: '#fffaf5', minor: '#f7ddd5', major: '#e8ab9f', trace: '#15181c', label: '#6b1f14', edge: '#0b6e6e', gap: '#b9c4cf', gapText: '#16202a',
  },
  monitor: {
    paper: '#0a100e', minor: '#121c19', major: '#20332d', trace: '#7df2b3', label: '#b9d9cc', edge: '#ffd166', gap: '#3b4a55', gapText: '#e8edf2',
  },
}

/** Fewer device pixels a millimetre than this and fine lines only make a haze. */
const MINOR_MIN_PX = 3
const MILLIVOLT = 1
export const FONT = 'system-ui, -apple-system, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif'

function lines(context: Context2d, layout: Layout, everyMm: number, thickness: number): void {
  const step = everyMm * layout.pxPerMm
  for (let line = 0; line * step <= layout.width; line += 1) context.fillRect(Math.round(line * step), 0, thickness, layout.height)
  for (let line = 0; line * step <= layout.height; line += 1) context.fillRect(0, Math.round(line * step), layout.width, thickness)
}

/** What the corner says; `band` names the filter. */
export interface PaperWords {
  speed: number
  gain: number
  band?: string
}

/** The still background: grid, lead names, calibration pulses, speed and gain. */
export function paintPaper(context: Context2d, layout: Layout, style: Style, words: PaperWords): void {
  context.fillStyle = style.paper
  context.fillRect(0, 0, layout.width, layout.height)
  if (layout.pxPerMm >= MINOR_MIN_PX) {
    context.fillStyle = style.minor
    lines(context, layout, 1, 1)
  }
  context.fillStyle = style.major
  lines(context, layout, 5, layout.pxPerMm >= 6 ? 2 : 1)
  const size = Math.round(Math.max(11, Math.min(15, layout.pxPerMm * 3.2)) * Math.max(1, layout.pxPerMm / 4.5))
  for (const cell of layout.cells) paintCell(context, layout, style, cell, size)
  const scale = layout.scale < 0.995 ? `  ×${layout.scale.toFixed(2)}` : ''
  const text = `${words.speed} mm/s  ${words.gain} mm/mV${scale}${words.band ? `  ${words.band}` : ''}`
  note(context, style, text, layout, Math.round(Math.min(size * 0.9, (layout.below ?? Infinity) * 0.8)))
}

function paintCell(context: Context2d, layout: Layout, style: Style, cell: Layout['cells'][number], size: number): void {
  const column = layout.columns[cell.column]
  if (!column) return
  context.font = `600 ${size}px ${FONT}`
  context.textBaseline = 'top'
  context.textAlign = 'left'
  context.fillStyle = style.label
  context.fillText(cell.label, column.left + 3, cell.top + 2)
  // A rhythm strip begins at the left edge as the first column does.
  if (column.pulseLeft === 0) paintPulse(context, layout, style, column.pulseLeft, cell.baseline)
}

/** 1 mV for 0.2 s, the mark by which a reader checks the gain. */
function paintPulse(context: Context2d, layout: Layout, style: Style, left: number, baseline: number): void {
  const mm = layout.pxPerMm
  const top = baseline - MILLIVOLT * layout.pxPerMillivolt
  context.beginPath()
  context.moveTo(left + mm, baseline)
  context.lineTo(left + 2 * mm, baseline)
  context.lineTo(left + 2 * mm, top)
  context.lineTo(left + 6 * mm, top)
  context.lineTo(left + 6 * mm, baseline)
  context.lineTo(left + 7 * mm, baseline)
  stroke(context, style.trace, layout)
}

function note(context: Context2d, style: Style, text: string, layout: Layout, size: number): void {
  context.font = `${size}px ${FONT}`
  context.textBaseline = 'bottom'
  context.textAlign = 'right'
  const width = context.measureText(text).width
  context.fillStyle = style.paper
  const edge = Math.round(Math.max(6, layout.pxPerMm * 2))
  context.fillRect(layout.width - width - 2 * edge, layout.height - size * 1.25, width + 2 * edge, size * 1.25)
  context.fillStyle = style.label
  context.fillText(text, layout.width - edge, layout.height - size * 0.1)
}

function stroke(context: Context2d, colour: string, layout: Layout): void {
  context.strokeStyle = colour
  context.lineWidth = layout.pxPerMm > 6 ? 2.25 : 1.5
  context.lineJoin = 'round'
  context.stroke()
}

/** Where a sample instant stands. */
export type PlaceX = (index: number) => number

/** So many samples to a pixel that a line through each of them costs more than it shows. */
const DENSE_PER_PX = 3

/** The traces of one column's leads over sample instants [start, end), in values that `prepare` covered; breaks where samples are missing. */
export function paintTraces(
  context: Context2d, layout: Layout, style: Style, display: Display, column: number, start: number, end: number, x: PlaceX,
): void {
  const runs = display.ring.runs(start, end)
  const dense = display.ring.rateHz / layout.pxPerSecond > DENSE_PER_PX
  for (const { lead, baseline, perUnit, column: own, none } of layout.cells) {
    if (own !== column || lead >= display.leads.length) continue
    context.beginPath()
    for (const run of runs) {
      const y = (index: number) => baseline - display.value(index, lead) * perUnit
      if (none !== undefined) {
        lineBroken(context, run.start, run.end, x, (index) => (display.value(index, lead) === none ? null : y(index)))
        continue
      }
      context.moveTo(x(run.start), y(run.start))
      if (dense) lineDensely(context, run.start + 1, run.end, x, y)
      else for (let index = run.start + 1; index < run.end; index += 1) context.lineTo(x(index), y(index))
    }
    stroke(context, style.trace, layout)
  }
}

/** Broken where there is no value. */
function lineBroken(context: Context2d, start: number, end: number, x: PlaceX, y: (index: number) => number | null): void {
  let pen = false
  for (let index = start; index < end; index += 1) {
    const at = y(index)
    if (at !== null) {
      if (pen) context.lineTo(x(index), at)
      else context.moveTo(x(index), at)
    }
    pen = at !== null
  }
}

/** Of all samples that fall on one pixel column the first, the highest, the lowest and the last: no spike is lost. */
function lineDensely(context: Context2d, start: number, end: number, x: PlaceX, y: (index: number) => number): void {
  for (let index = start; index < end;) {
    const pixel = Math.floor(x(index))
    let [least, most, last] = [y(index), y(index), y(index)]
    const at = x(index)
    context.lineTo(at, last)
    for (index += 1; index < end && Math.floor(x(index)) === pixel; index += 1) {
      last = y(index)
      if (last < least) least = last
      if (last > most) most = last
    }
    if (most > least) {
      context.lineTo(at, least)
      context.lineTo(at, most)
      context.lineTo(at, last)
    }
  }
}

/** What a gap says, from the longest wording to the shortest: its length, and whether it is only the display that lacks it. */
export function gapWords(seconds: number, skipped: string | null): string[] {
  const length = `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`
  return skipped ? [`${length} ${skipped}`, length] : [length]
}

/** Missing instants, hatched over the column's height; with the first of the wordings that fits (none while it goes on). */
export function paintGap(
  context: Context2d, layout: Layout, style: Style, column: Column, from: number, to: number, words: readonly string[], hatch: CanvasPattern | null,
): void {
  context.fillStyle = hatch ?? style.gap
  context.fillRect(from, column.top, to - from, column.bottom - column.top)
  const size = Math.round(12 * Math.max(1, layout.pxPerMm / 4.5))
  context.font = `600 ${size}px ${FONT}`
  context.textBaseline = 'middle'
  context.textAlign = 'center'
  const text = words.find((wording) => to - from >= context.measureText(wording).width + 6)
  if (!text) return
  const width = context.measureText(text).width
  const [middle, centre] = [(from + to) / 2, (column.top + column.bottom) / 2]
  context.fillStyle = style.paper
  context.fillRect(middle - width / 2 - 4, centre - size, width + 8, size * 2)
  context.fillStyle = style.gapText
  context.fillText(text, middle, centre)
}

const BEAT_MM = 1.3

/** A beat that the server's analysis found: a small mark at the column's upper edge. */
export function paintBeat(context: Context2d, layout: Layout, style: Style, column: Column, x: number): void {
  const size = BEAT_MM * Math.max(layout.pxPerMm, 4)
  context.fillStyle = style.edge
  context.beginPath()
  context.moveTo(x - size / 2, column.top)
  context.lineTo(x + size / 2, column.top)
  context.lineTo(x, column.top + size)
  context.fill()
}

/** A restart of the source (a looped file, a new electrode check): a dashed line, so that nobody reads across it. */
export function paintSeam(context: Context2d, style: Style, column: Column, x: number): void {
  context.save()
  context.setLineDash([4, 4])
  context.strokeStyle = style.label
  context.lineWidth = 1
  context.beginPath()
  context.moveTo(x, column.top)
  context.lineTo(x, column.bottom)
  context.stroke()
  context.restore()
}

/** Diagonal stripes; null where patterns are not available. */
export function hatchPattern(context: Context2d, style: Style, makeCanvas: (width: number, height: number) => AnyCanvas): CanvasPattern | null {
  const tile = makeCanvas(8, 8)
  const pen = tile.getContext('2d') as Context2d | null
  if (!pen) return null
  pen.fillStyle = style.paper
  pen.fillRect(0, 0, 8, 8)
  pen.strokeStyle = style.gap
  pen.lineWidth = 2
  pen.beginPath()
  for (const offset of [-8, 0, 8]) {
    pen.moveTo(offset, 8)
    pen.lineTo(offset + 8, 0)
  }
  pen.stroke()
  return context.createPattern(tile as CanvasImageSource, 'repeat')
}
