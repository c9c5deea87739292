/** Where each lead stands on the paper. Pure geometry; millimetres are of the paper, pixels are device pixels. */
import type { LeadInfo } from './ring'

/** CSS defines 1 in = 96 px = 25.4 mm. */
export const CSS_PX_PER_MM = 96 / 25.4
const STANDARD_ORDER = ['I', 'II', 'III', 'aVR', 'aVL', 'aVF', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6', 'V7', 'V8', 'V9', 'V3R', 'V4R', 'V5R']
/** Room for the calibration pulse at the left of each cell. */
const PULSE_MM = 8
/** A lead needs this much height to be read; below it another layout or a smaller scale is better. */
const READABLE_ROW_MM = 13
/** Above the first lead, so that its calibration pulse and R waves are not cut off. */
const TOP_MM = 4
const MIN_SCALE = 0.5
/** Below this width a second column would be shorter than one beat. */
const NARROW_MM = 140

export type LayoutName = 'auto' | '12x1' | '6x2' | '3x4'
const COLUMNS: Record<Exclude<LayoutName, 'auto'>, number> = { '12x1': 1, '6x2': 2, '3x4': 4 }

export interface Cell {
  lead: number
  label: string
  column: number
  /** device px */
  top: number
  height: number
  baseline: number
}

export interface Column {
  /** device px where the trace area begins and ends; the pulse stands left of `left` */
  left: number
  right: number
  pulseLeft: number
}

export interface Layout {
  name: Exclude<LayoutName, 'auto'>
  width: number
  height: number
  pxPerMm: number
  /** 1 = true size by CSS; less when the paper had to be made smaller to fit */
  scale: number
  columns: Column[]
  cells: Cell[]
  /** seconds that one column shows */
  seconds: number
  /** device px per mV */
  pxPerMillivolt: number
  pxPerSecond: number
}

export interface LayoutWishes {
  /** CSS px */
  width: number
  height: number
  devicePixelRatio: number
  layout: LayoutName
  /** the user's own scale; 1 = CSS size */
  scale: number
  speed: number
  gain: number
}

/** Lead numbers in the order in which doctors read them; unknown leads last, as announced. */
export function leadOrder(leads: Pick<LeadInfo, 'code'>[]): number[] {
  const rank = (code: string) => {
    const place = STANDARD_ORDER.indexOf(code)
    return place < 0 ? STANDARD_ORDER.length : place
  }
  return leads.map((_lead, index) => index).sort((a, b) => rank(leads[a]?.code ?? '') - rank(leads[b]?.code ?? '') || a - b)
}

function choose(wishes: LayoutWishes, leads: number): { name: Layout['name']; scale: number } {
  const rowScale = (columns: number) => wishes.height / Math.ceil(leads / columns) / (READABLE_ROW_MM * CSS_PX_PER_MM)
  if (wishes.layout !== 'auto') return { name: wishes.layout, scale: fit(rowScale(COLUMNS[wishes.layout])) * wishes.scale }
  const narrow = wishes.width / CSS_PX_PER_MM < NARROW_MM
  const preferred: Layout['name'][] = narrow ? ['12x1', '6x2', '3x4'] : ['6x2', '3x4']
  const name = preferred.find((candidate) => rowScale(COLUMNS[candidate]) >= 0.75) ?? preferred.at(-1) ?? '6x2'
  return { name, scale: fit(rowScale(COLUMNS[name])) * wishes.scale }
}

function fit(scale: number): number {
  return Math.min(1, Math.max(MIN_SCALE, scale))
}

export function layOut(wishes: LayoutWishes, leads: Pick<LeadInfo, 'code' | 'name'>[]): Layout {
  const { name, scale } = choose(wishes, leads.length)
  const width = Math.max(1, Math.round(wishes.width * wishes.devicePixelRatio))
  const height = Math.max(1, Math.round(wishes.height * wishes.devicePixelRatio))
  const pxPerMm = CSS_PX_PER_MM * scale * wishes.devicePixelRatio
  const columnCount = COLUMNS[name]
  const rows = Math.max(1, Math.ceil(leads.length / columnCount))
  const columnWidth = width / columnCount
  const columns = Array.from({ length: columnCount }, (_unused, column) => {
    const pulseLeft = Math.round(column * columnWidth)
    // One calibration pulse for each row is enough; the other columns begin at once.
    const left = pulseLeft + Math.round((column === 0 ? PULSE_MM : 1) * pxPerMm)
    return { pulseLeft, left, right: Math.round((column + 1) * columnWidth) }
  })
  const seconds = Math.min(...columns.map(({ left, right }) => (right - left) / (wishes.speed * pxPerMm)))
  const above = Math.min(TOP_MM * pxPerMm, height / 8)
  const edge = (row: number) => Math.round(above + (row * (height - above)) / rows)
  const cells = leadOrder(leads).map((lead, place) => {
    const row = place % rows
    const top = edge(row)
    const cellHeight = edge(row + 1) - top
    const info = leads[lead]
    return { lead, label: info?.name || info?.code || '', column: Math.floor(place / rows), top, height: cellHeight, baseline: Math.round(top + cellHeight * 0.55) + 0.5 }
  })
  // All columns show the same stretch of time, so that leads stay aligned.
  const pxPerSecond = wishes.speed * pxPerMm
  return {
    name, width, height, pxPerMm, scale, cells, seconds, pxPerSecond,
    columns: columns.map((column) => ({ ...column, right: Math.round(column.left + seconds * pxPerSecond) })),
    pxPerMillivolt: wishes.gain * pxPerMm,
  }
}

/** Microvolts (or whatever the lead's unit scales to) per LSB, as device px per LSB. */
export function pxPerLsb(layout: Layout, lead: LeadInfo): number {
  const toMillivolt = lead.unit === 'mV' ? 1 : lead.unit === 'V' ? 1000 : 0.001
  return lead.scale * toMillivolt * layout.pxPerMillivolt
}
