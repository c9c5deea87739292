/** Ten seconds for print, as they are shown: filtered, in the lead's order. */
import type { Display } from './display'
import { bandText, type FilterChoice } from './filters'
import { leadOrder, millivoltsPer, type LeadOrder } from './layout'
import type { LeadInfo } from './ring'

export const PRINTED_SECONDS = 10

/** Each lead's millivolts, NaN where nothing is; `endMs` by the device's clock. */
export interface Strip {
  leads: { label: string; millivolts: Float32Array }[]
  rateHz: number
  endMs: number
  band: string
}

/** The strip that ends before the instant `end`. */
export function stripOf(display: Display, end: number, choice: FilterChoice, order: LeadOrder | undefined): Strip {
  const { ring } = display
  const count = Math.round(PRINTED_SECONDS * ring.rateHz)
  const start = end - count
  display.prepare(Math.max(ring.oldest, start), end)
  const leads = leadOrder([...display.leads], order).map((lead) => {
    const info = display.leads[lead] as LeadInfo
    const turned = order === 'cabrera' && info.code === 'aVR'
    const perUnit = (turned ? -1 : 1) * millivoltsPer(info.unit)
    const millivolts = Float32Array.from({ length: count }, (_unused, index) => (ring.has(start + index) ? display.value(start + index, lead) * perUnit : Number.NaN))
    return { label: `${turned ? '−' : ''}${info.name || info.code}`, millivolts }
  })
  return { leads, rateHz: ring.rateHz, endMs: ring.timeMs(end), band: bandText(choice, ring.rateHz) }
}
