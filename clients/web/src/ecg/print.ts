/** A strip on paper, true to size: all in millimetres of an A4 sheet lying across. Pure. */
import { PRINTED_SECONDS, type Strip } from './strip'

/** Whatever the screen shows: what is compared with other printed strips is printed as all of them are. */
export const PRINT_SPEED = 25
export const PRINT_GAIN = 10
export const PULSE_MM = 10
export const STRIP_MM = PRINTED_SECONDS * PRINT_SPEED
/** A4 across, 10 mm of margin, 24 mm of words. */
const HEIGHT_MM = 160
const MAX_ROW_MM = 20
/** Above the first row, for its pulse. */
const TOP_MM = 4
/** More leads than this and rows become too low for 1 mV: the strip goes on a second sheet. */
const MAX_ROWS = 12

export interface PrintRow {
  label: string
  top: number
  baseline: number
  /** SVG path of the trace */
  path: string
  pulse: string
}

export interface PrintSheet {
  height: number
  rows: PrintRow[]
}

/** Half a printer's dot: finer is only longer. */
const round = (mm: number): number => Math.round(mm * 50) / 50

/** The trace of one lead as an SVG path that begins at `left`; broken where there is nothing. */
export function tracePath(millivolts: Float32Array, rateHz: number, left: number, baseline: number): string {
  const parts: string[] = []
  let pen = false
  for (let index = 0; index < millivolts.length; index += 1) {
    const value = millivolts[index] as number
    if (Number.isNaN(value)) {
      pen = false
      continue
    }
    parts.push(`${pen ? 'L' : 'M'}${round(left + (index / rateHz) * PRINT_SPEED)} ${round(baseline - value * PRINT_GAIN)}`)
    pen = true
  }
  return parts.join('')
}

/** The sheets of a strip: twelve leads on one, fifteen and eighteen on two of the same number. */
export function sheetsOf(strip: Strip): PrintSheet[] {
  const sheets = Math.max(1, Math.ceil(strip.leads.length / MAX_ROWS))
  const perSheet = Math.ceil(strip.leads.length / sheets)
  const rowHeight = Math.min(MAX_ROW_MM, Math.floor(HEIGHT_MM / Math.max(1, perSheet)))
  return Array.from({ length: sheets }, (_unused, sheet) => {
    const leads = strip.leads.slice(sheet * perSheet, (sheet + 1) * perSheet)
    const rows = leads.map(({ label, millivolts }, row) => {
      const top = TOP_MM + row * rowHeight
      const baseline = top + rowHeight * 0.6
      const pulse = `M1 ${baseline}H3V${baseline - PRINT_GAIN}H8V${baseline}H${PULSE_MM}`
      return { label, top, baseline, pulse, path: tracePath(millivolts, strip.rateHz, PULSE_MM, baseline) }
    })
    return { rows, height: Math.ceil((TOP_MM + Math.max(1, leads.length) * rowHeight) / 5) * 5 }
  })
}

/** Lines of the grid every so many millimetres, as one path. */
export function gridPath(every: number, width: number, height: number): string {
  const count = (length: number) => Math.floor(length / every) + 1
  const upright = Array.from({ length: count(width) }, (_unused, line) => `M${line * every} 0V${height}`)
  const level = Array.from({ length: count(height) }, (_unused, line) => `M0 ${line * every}H${width}`)
  return [...upright, ...level].join('')
}
