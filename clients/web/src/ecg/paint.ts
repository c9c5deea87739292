/** Drawing, and only drawing: paper, traces, gaps. Works on a page's canvas and on one off the main thread alike. */
import { pxPerLsb, type Layout } from './layout'
import type { LeadInfo, SignalRing } from './ring'

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
const FONT = 'system-ui, -apple-system, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif'

function lines(context: Context2d, layout: Layout, everyMm: number, thickness: number): void {
  const step = everyMm * layout.pxPerMm
  for (let line = 0; line * step <= layout.width; line += 1) context.fillRect(Math.round(line * step), 0, thickness, layout.height)
  for (let line = 0; line * step <= layout.height; line += 1) context.fillRect(0, Math.round(line * step), layout.width, thickness)
}

/** The still background: grid, lead names, calibration pulses, speed and gain. */
export function paintPaper(context: Context2d, layout: Layout, style: Style, words: { speed: number; gain: number }): void {
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
  note(context, style, `${words.speed} mm/s  ${words.gain} mm/mV${scale}`, layout, Math.round(size * 0.9))
}

function paintCell(context: Context2d, layout: Layout, style: Style, cell: Layout['cells'][number], size: number): void {
  const column = layout.columns[cell.column]
  if (!column) return
  context.font = `600 ${size}px ${FONT}`
  context.textBaseline = 'top'
  context.textAlign = 'left'
  context.fillStyle = style.label
  context.fillText(cell.label, column.left + 3, cell.top + 2)
  if (cell.column === 0) paintPulse(context, layout, style, column.pulseLeft, cell.baseline)
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
  context.fillRect(layout.width - width - 10, layout.height - size - 8, width + 10, size + 8)
  context.fillStyle = style.label
  context.fillText(text, layout.width - 5, layout.height - 4)
}

function stroke(context: Context2d, colour: string, layout: Layout): void {
  context.strokeStyle = colour
  context.lineWidth = layout.pxPerMm > 6 ? 2.25 : 1.5
  context.lineJoin = 'round'
  context.stroke()
}

/** Where a sample instant stands within its column. */
export type PlaceX = (index: number, column: number) => number

/** The traces of all leads over sample instants [start, end); breaks where samples are missing. */
export function paintTraces(
  context: Context2d, layout: Layout, style: Style, ring: SignalRing, leads: LeadInfo[], start: number, end: number, x: PlaceX,
): void {
  const runs = ring.runs(start, end)
  for (const cell of layout.cells) {
    const lead = leads[cell.lead]
    if (!lead) continue
    const perLsb = pxPerLsb(layout, lead)
    context.beginPath()
    for (const run of runs) {
      for (let index = run.start; index < run.end; index += 1) {
        const y = cell.baseline - (ring.value(index, cell.lead) - lead.baseline) * perLsb
        if (index === run.start) context.moveTo(x(index, cell.column), y)
        else context.lineTo(x(index, cell.column), y)
      }
    }
    stroke(context, style.trace, layout)
  }
}

/** Missing instants, hatched over the whole height; with its length when that is known and fits. */
export function paintGap(
  context: Context2d, layout: Layout, style: Style, from: number, to: number, seconds: number | null, hatch: CanvasPattern | null,
): void {
  context.fillStyle = hatch ?? style.gap
  context.fillRect(from, 0, to - from, layout.height)
  const text = seconds === null ? '' : `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`
  const size = Math.round(12 * Math.max(1, layout.pxPerMm / 4.5))
  context.font = `600 ${size}px ${FONT}`
  context.textBaseline = 'middle'
  context.textAlign = 'center'
  const width = context.measureText(text).width
  if (!text || to - from < width + 6) return
  const middle = (from + to) / 2
  context.fillStyle = style.paper
  context.fillRect(middle - width / 2 - 4, layout.height / 2 - size, width + 8, size * 2)
  context.fillStyle = style.gapText
  context.fillText(text, middle, layout.height / 2)
}

/** A restart of the source (a looped file, a new electrode check): a dashed line, so that nobody reads across it. */
export function paintSeam(context: Context2d, layout: Layout, style: Style, x: number): void {
  context.save()
  context.setLineDash([4, 4])
  context.strokeStyle = style.label
  context.lineWidth = 1
  context.beginPath()
  context.moveTo(x, 0)
  context.lineTo(x, layout.height)
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
