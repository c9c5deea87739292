/** What a person chose for this device, kept on it. Gain and layout begin anew each time: a forgotten gain misleads. */
import { reactive, watch } from 'vue'
import type { FilterName, Mains } from './filters'
import type { LayoutName, LeadOrder } from './layout'
import type { StyleName } from './paint'

export const SPEEDS = [12.5, 25, 50] as const
export const GAINS = [5, 10, 20] as const
export const FILTERS: readonly FilterName[] = ['diagnostic', 'st', 'monitor', 'off']
export const MAINS: readonly Mains[] = [0, 50, 60]
export const ORDERS: readonly LeadOrder[] = ['standard', 'cabrera']
export const STYLE_NAMES: readonly StyleName[] = ['paper', 'monitor']
/** True millimetres of a screen differ from those of CSS by no more than this, or the ruler was held wrong. */
export const SCALE_RANGE = { min: 0.5, max: 2 } as const
const STORED = 'hz.ecg'

export interface Settings {
  speed: number
  gain: number
  layout: LayoutName
  /** the lead that stands alone in the layout `single` */
  lead: string
  style: StyleName
  filter: FilterName
  mains: Mains
  order: LeadOrder
  /** this screen's true millimetre against that of CSS; 1 = not calibrated */
  scale: number
}

const FRESH: Settings = { speed: 25, gain: 10, layout: 'auto', lead: 'II', style: 'paper', filter: 'diagnostic', mains: 0, order: 'standard', scale: 1 }
type Kept = Pick<Settings, 'speed' | 'style' | 'filter' | 'mains' | 'order' | 'scale'>

const scaleOf = (value: unknown): number =>
  (typeof value === 'number' && value >= SCALE_RANGE.min && value <= SCALE_RANGE.max ? value : FRESH.scale)

function oneOf<T>(values: readonly T[], wanted: unknown, otherwise: T): T {
  return values.find((value) => value === wanted) ?? otherwise
}

/** Whatever stands in the browser's storage: what makes no sense is as if it had never been chosen. */
export function remembered(text: string | null): Kept {
  let stored: Partial<Record<keyof Kept, unknown>> = {}
  try {
    stored = (JSON.parse(text ?? '{}') ?? {}) as typeof stored
  } catch {
    // Not ours.
  }
  return {
    speed: oneOf<number>(SPEEDS, stored.speed, FRESH.speed),
    style: oneOf(STYLE_NAMES, stored.style, FRESH.style),
    filter: oneOf(FILTERS, stored.filter, FRESH.filter),
    mains: oneOf(MAINS, stored.mains, FRESH.mains),
    order: oneOf(ORDERS, stored.order, FRESH.order),
    scale: scaleOf(stored.scale),
  }
}

export function useSettings(): Settings {
  const settings = reactive<Settings>({ ...FRESH, ...remembered(localStorage.getItem(STORED)) })
  watch(settings, ({ speed, style, filter, mains, order, scale }) => {
    localStorage.setItem(STORED, JSON.stringify({ speed, style, filter, mains, order, scale } satisfies Kept))
  })
  return settings
}
