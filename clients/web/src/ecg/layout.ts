/** Where each lead stands on the paper. Pure geometry; millimetres are of the paper, pixels are device pixels. */
import type { LeadInfo } from './ring'

/** CSS defines 1 in = 96 px = 25.4 mm. */
export const CSS_PX_PER_MM = 96 / 25.4
const STANDARD_ORDER = ['I', 'II', 'III', 'aVR', 'aVL', 'aVF', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6', 'V7', 'V8', 'V9', 'V3R', 'V4R', 'V5R']
/** Limb leads in the order of their angles; -aVR is aVR turned round. */
const CABRERA_ORDER = ['aVL', 'I', 'aVR', 'II', 'aVF', 'III', ...STANDARD_ORDER.slice(6)]
const RHYTHM_LEAD = 'II'
/** Room for the calibration pulse at the left of each row. */
const PULSE_MM = 8
/** A lead needs this much height to be read; below it another layout or a smaller scale is better. */
const READABLE_ROW_MM = 13
/** Above the first lead, so that its calibration pulse and R waves are not cut off. */
const TOP_MM = 4
/** Below the last one, CSS px, for the words in the corner: a trace through speed and gain makes both unreadable. */
const NOTE_PX = 15
const MIN_SCALE = 0.5
/** Below this width a second column would be shorter than one beat. */
const NARROW_MM = 140

/** Rows x columns of twelve leads; `3x4r` has a rhythm strip below, `6x3` is for 15 and 18 leads, `single` one lead alone. */
export type LayoutName = 'auto' | '12x1' | '6x2' | '3x4' | '3x4r' | '6x3' | 'single'
export type Arrangement = Exclude<LayoutName, 'auto'>
export type LeadOrder = 'standard' | 'cabrera'
export const LAYOUTS: readonly LayoutName[] = ['auto', '12x1', '6x2', '3x4', '3x4r', '6x3', 'single']
const COLUMNS: Record<Arrangement, number> = { '12x1': 1, '6x2': 2, '3x4': 4, '3x4r': 4, '6x3': 3, single: 1 }

export interface Cell {
  lead: number
  label: string
  column: number
  /** device px */
  top: number
  height: number
  baseline: number
  /** device px upwards per unit of the lead */
  perUnit: number
  /** a value that means that there is none */
  none?: number
}

export interface Column {
  /** device px where the trace area begins and ends; the pulse stands left of `left` */
  left: number
  right: number
  pulseLeft: number
  top: number
  bottom: number
  /** seconds that it shows; all columns but a rhythm strip show the same stretch */
  seconds: number
}

export interface Layout {
  name: Arrangement
  width: number
  height: number
  pxPerMm: number
  /** 1 = true size; less when the paper had to be made smaller to fit */
  scale: number
  columns: Column[]
  cells: Cell[]
  /** seconds that one column shows (not the rhythm strip) */
  seconds: number
  /** device px per mV */
  pxPerMillivolt: number
  /** device px below the last row, for the words in the corner */
  below?: number
  pxPerSecond: number
}

export interface LayoutWishes {
  /** CSS px */
  width: number
  height: number
  devicePixelRatio: number
  layout: LayoutName
  /** this screen's true millimetre against that of CSS; 1 = not calibrated */
  scale: number
  speed: number
  gain: number
  order?: LeadOrder
  /** the code of the lead that `single` shows */
  lead?: string
}

type Lead = Pick<LeadInfo, 'code'> & Partial<LeadInfo>

/** Lead numbers in the order in which doctors read them; unknown leads last, as announced. */
export function leadOrder(leads: Pick<LeadInfo, 'code'>[], order: LeadOrder = 'standard'): number[] {
  const known = order === 'cabrera' ? CABRERA_ORDER : STANDARD_ORDER
  const rank = (code: string) => {
    const place = known.indexOf(code)
    return place < 0 ? known.length : place
  }
  return leads.map((_lead, index) => index).sort((a, b) => rank(leads[a]?.code ?? '') - rank(leads[b]?.code ?? '') || a - b)
}

/** Rows of leads, and of a rhythm strip, that an arrangement of so many leads has. */
export function rowsOf(name: Arrangement, leads: number): number {
  if (name === 'single') return 1
  // Of 15 and 18 leads the limb leads, V1 to V6 and the further ones stand in a column each.
  const least = name === '6x3' ? 6 : 1
  return Math.max(least, Math.ceil(leads / COLUMNS[name])) + (name === '3x4r' ? 1 : 0)
}

/** The arrangements that make sense for so many leads, `auto` first. */
export function layoutsFor(leads: number): LayoutName[] {
  const possible: Record<LayoutName, boolean> = {
    auto: true, '12x1': true, '6x2': leads > 3, '3x4': leads > 6 && leads <= 12, '3x4r': leads > 6 && leads <= 12, '6x3': leads > 12, single: leads > 1,
  }
  return LAYOUTS.filter((name) => possible[name])
}

function choose(wishes: LayoutWishes, leads: number): { name: Arrangement; scale: number } {
  const mm = CSS_PX_PER_MM * wishes.scale
  const rowScale = (name: Arrangement) => wishes.height / rowsOf(name, leads) / (READABLE_ROW_MM * mm)
  if (wishes.layout !== 'auto') return { name: wishes.layout, scale: fit(rowScale(wishes.layout)) }
  const narrow = wishes.width / mm < NARROW_MM
  const wide: Arrangement[] = leads > 12 ? ['6x2', '6x3'] : ['6x2', '3x4']
  const preferred = narrow ? (['12x1', ...wide] satisfies Arrangement[]) : wide
  const name = preferred.find((candidate) => rowScale(candidate) >= 0.75) ?? preferred.at(-1) ?? '6x2'
  return { name, scale: fit(rowScale(name)) }
}

function fit(scale: number): number {
  return Math.min(1, Math.max(MIN_SCALE, scale))
}

/** Millivolts of one unit of a lead. */
export function millivoltsPer(unit: string | undefined): number {
  return unit === 'mV' ? 1 : unit === 'V' ? 1000 : 0.001
}

function columnsOf(name: Arrangement, width: number, top: number, bottom: number, pxPerMm: number, pxPerSecond: number): Column[] {
  const count = COLUMNS[name]
  const edges = Array.from({ length: count }, (_unused, column) => {
    const pulseLeft = Math.round((column * width) / count)
    // One calibration pulse for each row is enough; the other columns begin at once.
    return { pulseLeft, left: pulseLeft + Math.round((column === 0 ? PULSE_MM : 1) * pxPerMm), right: Math.round(((column + 1) * width) / count) }
  })
  const seconds = Math.min(...edges.map(({ left, right }) => (right - left) / pxPerSecond))
  // All columns show the same stretch of time, so that leads stay aligned.
  return edges.map(({ pulseLeft, left }) => ({ pulseLeft, left, right: Math.round(left + seconds * pxPerSecond), top, bottom, seconds }))
}

export function layOut(wishes: LayoutWishes, leads: Lead[]): Layout {
  const { name, scale } = choose(wishes, leads.length)
  const width = Math.max(1, Math.round(wishes.width * wishes.devicePixelRatio))
  const height = Math.max(1, Math.round(wishes.height * wishes.devicePixelRatio))
  const pxPerMm = CSS_PX_PER_MM * wishes.scale * scale * wishes.devicePixelRatio
  const [pxPerSecond, pxPerMillivolt] = [wishes.speed * pxPerMm, wishes.gain * pxPerMm]
  const order = leadOrder(leads, wishes.order)
  const shown = name === 'single' ? [order.find((lead) => leads[lead]?.code === wishes.lead) ?? order[0] ?? 0].slice(0, leads.length) : order
  const rows = rowsOf(name, leads.length)
  const perColumn = name === '3x4r' ? rows - 1 : rows
  const above = Math.min(TOP_MM * pxPerMm, height / 8)
  const below = Math.min(NOTE_PX * wishes.devicePixelRatio, height / 10)
  const edge = (row: number) => Math.round(above + (row * (height - above - below)) / rows)
  const cell = (lead: number, column: number, row: number): Cell => {
    const info = leads[lead]
    const turned = wishes.order === 'cabrera' && info?.code === 'aVR'
    const [top, cellHeight] = [edge(row), edge(row + 1) - edge(row)]
    const perUnit = (turned ? -1 : 1) * millivoltsPer(info?.unit) * pxPerMillivolt
    return { lead, label: `${turned ? '−' : ''}${info?.name || info?.code || ''}`, column, top, height: cellHeight, baseline: Math.round(top + cellHeight * 0.55) + 0.5, perUnit }
  }
  const columns = columnsOf(name, width, 0, name === '3x4r' ? edge(perColumn) : height, pxPerMm, pxPerSecond)
  const cells = shown.map((lead, place) => cell(lead, Math.floor(place / perColumn), place % perColumn))
  const seconds = columns[0]?.seconds ?? 0
  if (name === '3x4r') {
    const rhythm = leads.findIndex(({ code }) => code === RHYTHM_LEAD)
    cells.push(cell(Math.max(0, rhythm), columns.length, rows - 1))
    const left = Math.round(PULSE_MM * pxPerMm)
    columns.push({ pulseLeft: 0, left, right: width, top: edge(rows - 1), bottom: height, seconds: (width - left) / pxPerSecond })
  }
  return { name, width, height, pxPerMm, scale, cells, seconds, pxPerSecond, columns, pxPerMillivolt, below }
}
