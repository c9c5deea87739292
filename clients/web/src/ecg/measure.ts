/** What calipers say. Pure; all lengths in CSS px of the paper. */
import type { Layout } from './layout'

/** Two lines in time, two in height. */
export interface CaliperLines {
  left: number
  right: number
  top: number
  bottom: number
}

export interface Reading {
  /** null where the lines lie on each other */
  milliseconds: number
  perMinute: number | null
  millivolts: number
}

export interface PaperScale {
  /** device px per CSS px */
  ratio: number
  layout: Pick<Layout, 'pxPerSecond' | 'pxPerMillivolt' | 'columns' | 'width' | 'height'>
}

export function readingOf(lines: CaliperLines, { layout, ratio }: PaperScale): Reading {
  const milliseconds = (Math.abs(lines.right - lines.left) * ratio * 1000) / layout.pxPerSecond
  return {
    milliseconds,
    perMinute: milliseconds >= 1 ? 60_000 / milliseconds : null,
    millivolts: (Math.abs(lines.bottom - lines.top) * ratio) / layout.pxPerMillivolt,
  }
}

/** Lines that are nearer to each other cannot each be taken hold of (WCAG 2.2, 2.5.8). */
const GRIP_PX = 26
const roomy = (px: number): number => px * Math.max(1, Math.ceil(GRIP_PX / px))

/** Where calipers open, in the middle of the first column: 600 ms and 1 mV, or as many times that as can be gripped. */
export function openingLines({ layout, ratio }: PaperScale): CaliperLines {
  const column = layout.columns[0] ?? { left: 0, right: layout.width }
  const width = Math.min(roomy((0.6 * layout.pxPerSecond) / ratio), (column.right - column.left) / 2 / ratio)
  const height = Math.min(roomy(layout.pxPerMillivolt / ratio), layout.height / 3 / ratio)
  const [x, y] = [(column.left + column.right) / 2 / ratio, layout.height / 3 / ratio]
  return { left: x - width / 2, right: x + width / 2, top: y - height / 2, bottom: y + height / 2 }
}

/** Moves some of the lines together and keeps all of them on the paper. */
export function moved(lines: CaliperLines, which: (keyof CaliperLines)[], dx: number, dy: number, { layout, ratio }: PaperScale): CaliperLines {
  const [width, height] = [layout.width / ratio, layout.height / ratio]
  const sideways = which.filter((name) => name === 'left' || name === 'right').map((name) => lines[name])
  const upright = which.filter((name) => name === 'top' || name === 'bottom').map((name) => lines[name])
  const byX = Math.min(width - Math.max(...sideways, 0), Math.max(-Math.min(...sideways, width), dx))
  const byY = Math.min(height - Math.max(...upright, 0), Math.max(-Math.min(...upright, height), dy))
  const next = { ...lines }
  for (const name of which) next[name] += name === 'left' || name === 'right' ? byX : byY
  return next
}

/** A line too many hides the trace. */
const MARCH_LEAST_PX = 6

/** The interval carried on in both directions over its column: lines besides the two, CSS px. */
export function marchOut(lines: CaliperLines, { layout, ratio }: PaperScale): number[] {
  const step = Math.abs(lines.right - lines.left)
  const first = Math.min(lines.left, lines.right)
  const column = layout.columns.findLast(({ left, top, bottom }) => first * ratio >= left && lines.top * ratio >= top && lines.top * ratio <= bottom) ?? layout.columns[0]
  if (!column || step < MARCH_LEAST_PX) return []
  const [from, to] = [column.left / ratio, column.right / ratio]
  const found: number[] = []
  for (let at = first - Math.floor((first - from) / step) * step; at <= to; at += step) {
    if (Math.abs(at - lines.left) > 0.5 && Math.abs(at - lines.right) > 0.5) found.push(at)
  }
  return found
}
