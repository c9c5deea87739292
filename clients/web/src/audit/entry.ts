import { instant } from '@/tasks/localTime'
import { exact } from '@/ui/format'

/** The text of an audit action: its own, or that of the consult step it is (`consultation.submit`). */
export function actionKey(action: string, exists: (key: string) => boolean): string | null {
  const own = `audit.actions.${action.replaceAll('.', '_')}`
  if (exists(own)) return own
  const step = /^consultation\.(\w+)$/.exec(action)?.[1]
  return step ? [`consultation.actions.${step}`, `consultation.steps.${step}`].find(exists) ?? null : null
}

export interface TrailFilters { who: string; what: string; number: string; from: string; until: string }
export const noFilters = (): TrailFilters => ({ who: '', what: '', number: '', from: '', until: '' })

const DAY_MS = 86_400_000
/** Midnight of the clinics, at the beginning of a `YYYY-MM-DD` or of the day after it. */
const midnight = (day: string, after = 0): string => {
  const on = new Date(Date.parse(day) + after * DAY_MS)
  const at = Number.isNaN(on.getTime()) ? NaN : instant(`${on.toISOString().slice(0, 10)}T00:00`)
  return Number.isNaN(at) ? '' : new Date(at).toISOString()
}

/** The filters as the server asks for them. Days are the clinics', the last one included. */
export function asked(filters: TrailFilters, consultationId: string): Record<string, string> {
  return {
    consultationId, who: filters.who.trim(), what: filters.what, number: consultationId ? '' : filters.number.trim(),
    from: filters.from && midnight(filters.from), to: filters.until && midnight(filters.until, 1),
  }
}

/** Details that are Unix seconds. */
const INSTANTS: readonly string[] = ['starts', 'ends', 'at', 'until']

/** What is nested is for programs: the row shows its beginning. */
const NESTED_MAX = 60
const shortened = (text: string): string => (text.length > NESTED_MAX ? `${text.slice(0, NESTED_MAX)}…` : text)

/** Details as short pairs; what is nested is shown as JSON, what is empty not at all. A change of state is one pair. `word` gives the text of a key or a value. */
export function detailPairs(detail: Record<string, unknown> | null | undefined, stateName: (state: string) => string, word: (key: string, value?: string) => string | null = () => null): [string, string][] {
  const { from, to, ...others } = detail ?? {}
  const change: [string, string][] = typeof from === 'string' && typeof to === 'string' && from !== to ? [['', `${stateName(from)} → ${stateName(to)}`]] : []
  return change.concat(Object.entries(others)
    .filter(([, value]) => value !== null && value !== '' && !(Array.isArray(value) && value.length === 0))
    .map(([key, value]) => [`${word(key) ?? key}: `, shown(key, value)]))

  function shown(key: string, value: unknown): string {
    if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value.map((one) => word(key, one) ?? one).join(', ')
    if (typeof value === 'number' && INSTANTS.includes(key)) return exact(value * 1000)
    if (typeof value === 'object') return shortened(JSON.stringify(value))
    return word(key, String(value)) ?? String(value)
  }
}
