/** Minutes of one lead as rows: lowest and highest of each 50 ms, as the server sends them. Pure but for the painting. */
import type { Extent } from './past'

export const BIN_MS = 50
export const rowHeight = 44
/** A row shows two millivolts; what is larger is cut. */
const ROW_MILLIVOLTS = 2.2

/** Lowest and highest of each bin; lowest above highest: nothing. */
export type OverviewRow = Int16Array

/** The rows of a page, the latest first page; rows begin at round times. `atMs`: whose page is asked for. */
export function rowsOfPage(extent: Pick<Extent, 'startMs' | 'endMs'>, rowMs: number, perPage: number, page: number, atMs?: number): { starts: number[]; pages: number; page: number } {
  const first = Math.floor(extent.startMs / rowMs)
  const behind = Math.max(first + 1, Math.ceil(extent.endMs / rowMs))
  const pages = Math.ceil((behind - first) / perPage)
  const asked = atMs === undefined ? page : Math.floor((behind - 1 - Math.floor(atMs / rowMs)) / perPage)
  const held = Math.min(pages - 1, Math.max(0, asked))
  const last = behind - held * perPage
  const from = Math.max(first, last - perPage)
  return { starts: Array.from({ length: last - from }, (_unused, index) => (from + index) * rowMs), pages, page: held }
}

/** A row's part of an answer that begins at `firstMs`. */
export function offsetOf(data: Int16Array, firstMs: number, startMs: number, rowMs: number): OverviewRow {
  const from = Math.round((startMs - firstMs) / BIN_MS) * 2
  return data.slice(from, from + (rowMs / BIN_MS) * 2)
}

export interface RowStyle {
  perMillivolt: number
  baseline: number
  trace: string
  gap: string
  /** Part of the row that the stream covers, 0 to 1: only there something can be missing. */
  from: number
  to: number
}

/** The middle of what a row holds: an electrode's offset is not what is looked for. */
function middleOf(row: OverviewRow, baseline: number): number {
  const middles: number[] = []
  for (let at = 0; at + 1 < row.length; at += 2) {
    const [low, high] = [row[at] as number, row[at + 1] as number]
    if (low <= high) middles.push((low + high) / 2)
  }
  middles.sort((one, other) => one - other)
  return middles[Math.floor(middles.length / 2)] ?? baseline
}

/** Fills the canvas: each bin a stroke from lowest to highest; what is missing is a bar at the bottom. */
export function paintRow(context: Pick<CanvasRenderingContext2D, 'canvas' | 'clearRect' | 'fillRect' | 'fillStyle'>, row: OverviewRow, { perMillivolt, baseline, trace, gap, from, to }: RowStyle): void {
  const { width, height } = context.canvas
  context.clearRect(0, 0, width, height)
  const middle = middleOf(row, baseline)
  const perUnit = height / (ROW_MILLIVOLTS * perMillivolt)
  const bins = row.length / 2
  const y = (value: number) => Math.min(height - 1, Math.max(0, height * 0.62 - (value - middle) * perUnit))
  for (let bin = 0; bin < bins; bin += 1) {
    const [low, high] = [row[bin * 2] as number, row[bin * 2 + 1] as number]
    const left = (bin * width) / bins
    const wide = Math.max(1, width / bins)
    if (low > high) {
      context.fillStyle = gap
      if (bin >= from * bins && bin < to * bins - 1) context.fillRect(left, height - height / 11, Math.ceil(wide), height / 11)
      continue
    }
    context.fillStyle = trace
    context.fillRect(left, y(high), Math.min(wide, height / 30), Math.max(height / 36, y(low) - y(high)))
  }
}
