/** What the automatic analysis sees in a recorded ECG, as a picture over the recording's time line. Pure but for the fetching. */
import type { Text } from '@/api/types'
import type { Quality } from '@/ecg/findings'

export interface RecordedAlarm {
  id: string
  kind: string
  category: 'physiological' | 'technical'
  severity: 'high' | 'medium' | 'low'
  /** ms from the recording's start; negative when it was raised before */
  atMs: number
  endedMs: number | null
  message: Text
}

/** Times in ms from the recording's start. */
export interface Review {
  beatsMs: number[]
  /** of each second: up to when, heart rate, quality */
  points: [number, number | null, Quality][]
  /** false: the rest of a long recording was not looked at */
  complete: boolean
}

/** Seconds without a point: nothing was measured. */
const BREAK_MS = 2_500

/** Rejects when the server refuses. */
export async function loadReview(url: string, abort: AbortSignal): Promise<Review> {
  const response = await fetch(url, { signal: abort })
  if (!response.ok) throw new Error(`HTTP ${response.status}`)
  return (await response.json()) as Review
}

export interface Scale {
  low: number
  high: number
}

/** Whole tens around the rates, at least 40 apart, so that a steady rhythm is a flat line. */
export function rateScale(points: Review['points']): Scale | null {
  const rates = points.flatMap(([, rate]) => (rate === null ? [] : [rate]))
  if (rates.length === 0) return null
  const [least, most] = [Math.min(...rates), Math.max(...rates)]
  const spare = Math.max(0, 40 - (most - least)) / 2
  return { low: Math.max(0, Math.floor((least - spare) / 10) * 10), high: Math.ceil((most + spare) / 10) * 10 }
}

/** An SVG path on a field 1000 wide and 100 high; broken where there is no rate. More than one value a step is drawn as lowest and highest. */
export function ratePath(points: Review['points'], { low, high }: Scale, durationMs: number): string {
  const steps = new Map<number, { least: number; most: number; at: number }>()
  const parts: string[] = []
  let last = -Infinity
  const flush = () => {
    let pen = 'M'
    for (const [x, { least, most }] of steps) {
      const y = (rate: number) => (100 - ((rate - low) / (high - low)) * 100).toFixed(1)
      parts.push(`${pen}${x} ${y(least)}`, ...(most > least ? [`L${x} ${y(most)}`] : []))
      pen = 'L'
    }
    steps.clear()
  }
  for (const [at, rate] of points) {
    if (rate === null || at - last > BREAK_MS) flush()
    if (rate === null) continue
    last = at
    const x = Math.round((at / durationMs) * 1000)
    const known = steps.get(x)
    steps.set(x, { least: Math.min(known?.least ?? rate, rate), most: Math.max(known?.most ?? rate, rate), at })
  }
  flush()
  return parts.join('')
}

export interface Stretch {
  quality: Quality
  fromMs: number
  toMs: number
}

/** Runs of one quality; `good` is left out, it needs no mark. */
export function poorStretches(points: Review['points']): Stretch[] {
  const found: Stretch[] = []
  let before = -Infinity
  for (const [at, , quality] of points) {
    const from = at - before > BREAK_MS ? at - 1000 : before
    const open = found.at(-1)
    if (quality !== 'good') {
      if (open?.quality === quality && open.toMs === from) open.toMs = at
      else found.push({ quality, fromMs: Math.max(0, from), toMs: at })
    }
    before = at
  }
  return found
}

/** Share of the analysed time with a quality that serves, percent. */
export function servingPercent(points: Review['points']): number {
  if (points.length === 0) return 0
  return Math.round((100 * points.filter(([, , quality]) => quality === 'good' || quality === 'fair').length) / points.length)
}
