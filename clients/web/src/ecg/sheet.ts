/** A page of the past, drawn at once: time runs from left to right in each column and ends where the page ends. */
import type { Display } from './display'
import type { Column, Layout } from './layout'
import { gapWords, paintBeat, paintGap, paintSeam, paintTraces, type AnyCanvas, type Context2d, type Style } from './paint'

/** The sample instant at a column's left edge when the page ends at `end`. */
export function columnStart(column: Pick<Column, 'seconds'>, end: number, rateHz: number): number {
  return end - column.seconds * rateHz
}

export interface SheetPicture {
  context: Context2d
  layout: Layout
  style: Style
  paper: AnyCanvas | null
  hatch: CanvasPattern | null
  /** beats that were found, as instants */
  beats?: readonly number[]
  /** the word for what only the display lacks */
  skipped?: string
}

/** Draws everything that the display has between the page's beginning and `end`; instants before the stream began stay blank. */
export function paintSheet({ context, layout, style, paper, hatch, beats = [], skipped = '' }: SheetPicture, display: Display, end: number, first = 0): void {
  if (paper) context.drawImage(paper as CanvasImageSource, 0, 0)
  const { ring } = display
  const longest = Math.max(...layout.columns.map(({ seconds }) => seconds))
  const to = Math.min(Math.floor(end), ring.latest)
  display.prepare(Math.max(ring.oldest, first, Math.floor(end - longest * ring.rateHz)), to)
  layout.columns.forEach((column, number) => {
    const begin = columnStart(column, end, ring.rateHz)
    const from = Math.max(first, Math.ceil(begin), ring.oldest)
    if (to <= from) return
    const x = (index: number) => column.left + ((index - begin) / ring.rateHz) * layout.pxPerSecond
    for (const gap of ring.runs(from, to, false)) {
      paintGap(context, layout, style, column, x(gap.start), x(gap.end), gapWords((gap.end - gap.start) / ring.rateHz, ring.skipped(gap.start, gap.end) ? skipped : null), hatch)
    }
    paintTraces(context, layout, style, display, number, from, to, x)
    for (const beat of beats) if (beat >= from && beat < to) paintBeat(context, layout, style, column, x(beat))
    for (const seam of ring.seams(from, to)) paintSeam(context, style, column, Math.round(x(seam)) + 0.5)
  })
}
