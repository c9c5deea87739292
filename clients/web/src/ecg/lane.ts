/** Signals beside the ECG: respiration, pleth, pressure, fetal heart rate, uterine activity; each with its own axis and speed. Pure geometry. */
import type { Display } from './display'
import { CSS_PX_PER_MM, type Layout, type LayoutWishes } from './layout'
import type { StreamInfo } from './ring'

interface LaneKind {
  unit: string
  /** the usual range (media/signals/kinds.py): where an axis begins */
  usual: readonly [number, number]
  /** mm/s */
  speed: number
  /** the axis stays the usual range while values are inside; otherwise it follows them */
  steady: boolean
  /** the value that means "no signal" */
  none?: number
}

/** Cardiotocographs run at 3 cm a minute, respiration at a quarter of the ECG's speed. */
const KINDS: Partial<Record<string, LaneKind>> = {
  respiration: { unit: 'Ohm', usual: [-3, 3], speed: 6.25, steady: false },
  pleth: { unit: '1', usual: [0, 1], speed: 25, steady: false },
  arterial_pressure: { unit: 'mm[Hg]', usual: [0, 200], speed: 25, steady: true },
  fetal_heart_rate: { unit: '/min', usual: [50, 210], speed: 0.5, steady: true, none: 0 },
  uterine_activity: { unit: '1', usual: [0, 100], speed: 0.5, steady: true },
}
const UNKNOWN: LaneKind = { unit: '', usual: [0, 1], speed: 25, steady: false }
export const laneKind = (kind: string): LaneKind => KINDS[kind] ?? UNKNOWN

export interface Axis {
  low: number
  high: number
  /** between two labelled lines */
  step: number
}

export interface Seen {
  low: number
  high: number
}

/** The lowest and highest value in [from, to); null when nothing is there. */
export function seenIn(display: Display, layout: Pick<Layout, 'cells'>, from: number, to: number): Seen | null {
  const { ring } = display
  let [low, high] = [Infinity, -Infinity]
  for (const run of ring.runs(Math.max(ring.oldest, from), Math.min(to, ring.latest))) {
    for (let index = run.start; index < run.end; index += 1) {
      for (const { lead, none } of layout.cells) {
        const value = display.value(index, lead)
        if (value === none) continue
        low = Math.min(low, value)
        high = Math.max(high, value)
      }
    }
  }
  return low <= high ? { low, high } : null
}

/** 1, 2 or 5 times a power of ten, at least `span`. */
function nice(span: number): number {
  const power = 10 ** Math.floor(Math.log10(span))
  return ([1, 2, 5, 10].find((factor) => factor * power >= span * 0.999) ?? 10) * power
}

function around({ low, high }: Seen): Axis {
  const span = Math.max(high - low, Math.abs(high) * 1e-3, 1e-6)
  const step = nice(span / 3)
  return { low: Math.floor((low - span * 0.05) / step) * step, high: Math.ceil((high + span * 0.05) / step) * step, step }
}

/** A trace that fills less than this of its axis is drawn larger. */
const TOO_SMALL = 0.3

/** The axis for what was seen lately; the one before stays as long as it does, so that nothing breathes up and down. */
export function axisFor(kind: string, unit: string | undefined, seen: Seen | null, before: Axis | null): Axis {
  const { usual, steady, unit: known } = laneKind(kind)
  const first: Axis = { low: usual[0], high: usual[1], step: nice((usual[1] - usual[0]) / 4) }
  const fits = steady && unit === known
  const now = before ?? (fits || !seen ? first : around(seen))
  if (!seen) return now
  const inside = seen.low >= now.low && seen.high <= now.high
  if (inside && (fits || seen.high - seen.low >= TOO_SMALL * (now.high - now.low))) return now
  if (!inside) return fits ? around({ low: Math.min(seen.low, first.low), high: Math.max(seen.high, first.high) }) : around(seen)
  const closer = around(seen)
  return closer.high - closer.low < (now.high - now.low) * 0.75 ? closer : now
}

/** Room for the axis' numbers, CSS px. */
const AXIS_PX = 40
const MARGIN_PX = 3

/** One row a lead, the whole height for its axis. */
export function layOutLane(wishes: LayoutWishes, info: Pick<StreamInfo, 'kind' | 'leads'>, axis: Axis): Layout {
  const { devicePixelRatio: ratio } = wishes
  const [width, height] = [Math.max(1, Math.round(wishes.width * ratio)), Math.max(1, Math.round(wishes.height * ratio))]
  const pxPerMm = CSS_PX_PER_MM * wishes.scale * ratio
  const pxPerSecond = laneKind(info.kind).speed * pxPerMm
  const left = Math.round(AXIS_PX * ratio)
  const seconds = Math.max(0.1, (width - left) / pxPerSecond)
  const rowHeight = height / info.leads.length
  const cells = info.leads.map(({ name, code }, lead) => {
    const [top, inner] = [lead * rowHeight + MARGIN_PX * ratio, rowHeight - 2 * MARGIN_PX * ratio]
    const perUnit = inner / (axis.high - axis.low)
    return { lead, label: name || code, column: 0, top, height: inner, baseline: top + axis.high * perUnit, perUnit, none: laneKind(info.kind).none }
  })
  const columns = [{ pulseLeft: 0, left, right: width, top: 0, bottom: height, seconds }]
  return { name: 'single', width, height, pxPerMm, scale: 1, cells, columns, seconds, pxPerSecond, pxPerMillivolt: 0 }
}

/** Seconds between two lines across: one at a beat's speed, ten at a breath's, a minute at a contraction's. */
export function lineSeconds(kind: string): number {
  const { speed } = laneKind(kind)
  return speed >= 12 ? 1 : speed >= 3 ? 10 : 60
}
