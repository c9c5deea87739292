/**
 * Filters of the display, never of what is stored: a chain of biquads that runs sample by sample, so that what is drawn live and what is drawn
 * again later are the same. Bands are those of IEC 60601-2-25 / AHA: high pass of first order (a step of 3 mV for 100 ms leaves less than
 * 0.1 mV behind at 0.05 Hz), low pass Butterworth of second order, a notch for the mains.
 */
export type FilterName = 'diagnostic' | 'st' | 'monitor' | 'off'
export type Mains = 0 | 50 | 60

export interface FilterChoice {
  filter: FilterName
  mains: Mains
}

export const UNFILTERED: FilterChoice = { filter: 'off', mains: 0 }
export const BANDS: Record<Exclude<FilterName, 'off'>, { low: number; high: number }> = {
  diagnostic: { low: 0.05, high: 150 },
  st: { low: 0.05, high: 40 },
  monitor: { low: 0.5, high: 40 },
}
/** 5 Hz wide at 50 Hz: takes the hum, and rings for less than a QRS complex. */
const NOTCH_Q = 10

/** b0 b1 b2 a1 a2, a0 = 1 */
export type Biquad = readonly [number, number, number, number, number]

export function highPass(hertz: number, rateHz: number): Biquad {
  const k = Math.tan((Math.PI * hertz) / rateHz)
  const gain = 1 / (1 + k)
  return [gain, -gain, 0, (k - 1) * gain, 0]
}

export function lowPass(hertz: number, rateHz: number): Biquad {
  const k = Math.tan((Math.PI * hertz) / rateHz)
  const scale = 1 / (1 + Math.SQRT2 * k + k * k)
  const gain = k * k * scale
  return [gain, 2 * gain, gain, 2 * (k * k - 1) * scale, (1 - Math.SQRT2 * k + k * k) * scale]
}

export function notch(hertz: number, rateHz: number, quality = NOTCH_Q): Biquad {
  const turn = (2 * Math.PI * hertz) / rateHz
  const alpha = Math.sin(turn) / (2 * quality)
  const gain = 1 / (1 + alpha)
  return [gain, -2 * Math.cos(turn) * gain, gain, -2 * Math.cos(turn) * gain, (1 - alpha) * gain]
}

/** The upper edge that a signal of this rate has at all: half of the rate bounds it. */
const upperEdge = (high: number, rateHz: number) => Math.min(high, rateHz / 2)

export function chainOf({ filter, mains }: FilterChoice, rateHz: number): Biquad[] {
  const chain: Biquad[] = []
  if (filter !== 'off') {
    const { low, high } = BANDS[filter]
    chain.push(highPass(low, rateHz))
    if (high < rateHz / 2) chain.push(lowPass(high, rateHz))
  }
  if (mains > 0 && mains < rateHz / 2) chain.push(notch(mains, rateHz))
  return chain
}

/** What stands on the paper: `0.05–150 Hz  AC 50 Hz`; nothing for a signal as it was measured. */
export function bandText({ filter, mains }: FilterChoice, rateHz: number): string {
  const band = filter === 'off' ? '' : `${BANDS[filter].low}–${upperEdge(BANDS[filter].high, rateHz)} Hz`
  const hum = mains > 0 && mains < rateHz / 2 ? `AC ${mains} Hz` : ''
  return [band, hum].filter(Boolean).join('  ')
}

/** |H| at a frequency; 1 = unchanged. */
export function response(chain: readonly Biquad[], hertz: number, rateHz: number): number {
  const turn = (2 * Math.PI * hertz) / rateHz
  const [c1, s1, c2, s2] = [Math.cos(turn), -Math.sin(turn), Math.cos(2 * turn), -Math.sin(2 * turn)]
  return chain.reduce((gain, [b0, b1, b2, a1, a2]) => {
    const above = Math.hypot(b0 + b1 * c1 + b2 * c2, b1 * s1 + b2 * s2)
    return (gain * above) / Math.hypot(1 + a1 * c1 + a2 * c2, a1 * s1 + a2 * s2)
  }, 1)
}

/** A chain's memory for one lead (transposed direct form II, doubles: 0.05 Hz at 1 kHz needs them). */
export class FilterState {
  private readonly memory: Float64Array
  private settled = false

  constructor(private readonly chain: readonly Biquad[]) {
    this.memory = new Float64Array(chain.length * 2)
  }

  /** The next value begins anew, as if it had been there for ever: no step, no swing. */
  reset(): void {
    this.settled = false
  }

  next(value: number): number {
    if (!this.settled) this.settle(value)
    const { memory } = this
    let x = value
    for (let section = 0; section < this.chain.length; section += 1) {
      const [b0, b1, b2, a1, a2] = this.chain[section] as Biquad
      const at = section * 2
      const y = b0 * x + (memory[at] as number)
      memory[at] = b1 * x - a1 * y + (memory[at + 1] as number)
      memory[at + 1] = b2 * x - a2 * y
      x = y
    }
    return x
  }

  private settle(value: number): void {
    let x = value
    this.chain.forEach(([b0, b1, b2, a1, a2], section) => {
      const y = (x * (b0 + b1 + b2)) / (1 + a1 + a2)
      this.memory[section * 2 + 1] = b2 * x - a2 * y
      this.memory[section * 2] = b1 * x - a1 * y + b2 * x - a2 * y
      x = y
    })
    this.settled = true
  }
}
