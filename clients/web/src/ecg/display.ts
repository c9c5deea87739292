/** What is drawn of a ring: values in the leads' units, filtered as wished. The ring itself stays as it came. */
import { chainOf, FilterState, type FilterChoice } from './filters'
import type { LeadInfo, SignalRing } from './ring'

/** More than the widest screen shows at once. */
const HELD_SECONDS = 120
/** Filtered before what is shown, so that a page in the past looks as it did live: three time constants of 0.05 Hz. */
const WARM_UP_SECONDS = 10

export class Display {
  private readonly states: FilterState[]
  private readonly filtered: Float32Array | null
  private readonly capacity: number
  /** Instants [start, end) that `filtered` holds. */
  private done = { start: -1, end: -1 }

  constructor(readonly ring: SignalRing, readonly leads: readonly LeadInfo[], choice: FilterChoice) {
    const chain = chainOf(choice, ring.rateHz)
    this.capacity = Math.ceil(HELD_SECONDS * ring.rateHz)
    this.states = chain.length > 0 ? leads.map(() => new FilterState(chain)) : []
    this.filtered = chain.length > 0 ? new Float32Array(this.capacity * leads.length) : null
  }

  /** Filters what is needed to draw [from, to); goes on where it was when that follows. */
  prepare(from: number, to: number): void {
    if (!this.filtered) return
    const follows = from >= this.done.start && from <= this.done.end
    if (!follows) {
      const start = Math.max(this.ring.oldest, Math.floor(from - WARM_UP_SECONDS * this.ring.rateHz), to - this.capacity)
      this.done = { start, end: start }
      for (const state of this.states) state.reset()
    }
    for (let index = this.done.end; index < to; index += 1) this.step(index)
    this.done.end = Math.max(this.done.end, to)
    this.done.start = Math.max(this.done.start, this.done.end - this.capacity)
  }

  private step(index: number): void {
    const { ring, states, filtered } = this
    const there = ring.has(index)
    const at = (index % this.capacity) * states.length
    for (let lead = 0; lead < states.length; lead += 1) {
      const state = states[lead] as FilterState
      // Nobody knows what the line did in a gap: behind it the filter begins anew.
      if (there) (filtered as Float32Array)[at + lead] = state.next(this.measured(index, lead))
      else state.reset()
    }
  }

  /** Something came late: what is held begins behind it now, the rest is near enough; or (without an end) all is filtered anew. */
  forget(end = Infinity): void {
    if (end >= this.done.end) this.done = { start: -1, end: -1 }
    else this.done.start = Math.max(this.done.start, end)
  }

  private measured(index: number, lead: number): number {
    const info = this.leads[lead] as LeadInfo
    return (this.ring.value(index, lead) - info.baseline) * info.scale
  }

  /** In the lead's unit; only meaningful where the ring has the instant and `prepare` covered it. */
  value(index: number, lead: number): number {
    return this.filtered ? (this.filtered[(index % this.capacity) * this.states.length + lead] ?? 0) : this.measured(index, lead)
  }
}
