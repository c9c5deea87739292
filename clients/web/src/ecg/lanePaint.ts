/** The still background of a lane: lines of its axis with their numbers, lines of time, names. */
import type { Axis } from './lane'
import type { Layout } from './layout'
import { FONT, type Context2d, type Style } from './paint'

export function paintLanePaper(context: Context2d, layout: Layout, style: Style, axis: Axis, everySeconds: number, ratio: number): void {
  const { width, height, columns: [column], cells } = layout
  context.fillStyle = style.paper
  context.fillRect(0, 0, width, height)
  if (!column) return
  context.fillStyle = style.minor
  for (let second = 0; second <= column.seconds; second += everySeconds) context.fillRect(Math.round(column.left + second * layout.pxPerSecond), 0, Math.ceil(ratio), height)
  const size = Math.round(11 * ratio)
  for (const { top, height: tall, baseline, perUnit, label } of cells) {
    const lines = Math.round((axis.high - axis.low) / axis.step)
    // No more numbers than can be read.
    const skip = Math.max(1, Math.ceil((size * 1.5) / (tall / Math.max(1, lines))))
    for (let line = 0; line <= lines; line += 1) {
      const value = axis.low + line * axis.step
      const y = Math.round(baseline - value * perUnit)
      context.fillStyle = style.major
      context.fillRect(column.left, y, width - column.left, 1)
      if (line % skip !== 0) continue
      context.fillStyle = style.label
      context.font = `${size}px ${FONT}`
      context.textAlign = 'right'
      context.textBaseline = 'middle'
      context.fillText(String(Number(value.toPrecision(6))), column.left - 4 * ratio, Math.min(height - size / 2, Math.max(size / 2, y)))
    }
    if (cells.length < 2) continue
    context.textAlign = 'left'
    context.textBaseline = 'top'
    context.fillStyle = style.label
    context.fillText(label, column.left + 4 * ratio, top)
  }
}
