/** The last seconds of one stream, each sample instant at its place in time, so that what is missing stays visible. */
import type { Frame } from './frame'

/** Frames that follow each other in sequence are joined without a seam up to this much disagreement of the device's clock. */
const CLOCK_TOLERANCE_S = 0.02
/** Remembered places of frames; more than the ring holds, so a repetition is always recognised. */
const REMEMBERED_FRAMES = 1024

/** Leads and rate of a stream, as the device announced it. */
export interface LeadInfo {
  code: string
  name?: string
  scale: number
  baseline: number
  unit?: string
}

export interface StreamInfo {
  streamId: string
  kind: string
  label: string
  samplingRateHz: number
  leads: LeadInfo[]
  live?: boolean
}

export interface Run {
  /** sample instants [start, end) */
  start: number
  end: number
}

export class SignalRing {
  readonly rateHz: number
  readonly leads: number
  readonly capacity: number
  private readonly values: Int16Array
  private readonly stamps: Float64Array
  private readonly placed = new Map<number, number>()
  private originMs: number | null = null
  private expected = { sequence: -1, index: 0 }
  /** One past the newest sample instant. */
  latest = 0
  /** The oldest sample instant that can still be there. */
  oldest = 0
  private seamsAt: number[] = []

  constructor(info: Pick<StreamInfo, 'samplingRateHz' | 'leads'>, seconds: number) {
    this.rateHz = info.samplingRateHz
    this.leads = info.leads.length
    this.capacity = Math.ceil(seconds * this.rateHz)
    this.values = new Int16Array(this.capacity * this.leads)
    this.stamps = new Float64Array(this.capacity).fill(-1)
  }

  /** Puts a frame at its place; gives the instants it fills, or null when it is a repetition, too old, or of another shape. */
  write(frame: Frame): Run | null {
    if (frame.leads !== this.leads || frame.rateHz !== this.rateHz || this.placed.has(frame.sequence)) return null
    this.originMs ??= frame.timeMs
    const start = this.place(frame)
    if (start < 0 || start < this.latest - this.capacity) return null
    for (let index = 0; index < frame.count; index += 1) {
      const slot = (start + index) % this.capacity
      this.stamps[slot] = start + index
      this.values.set(frame.samples.subarray(index * this.leads, (index + 1) * this.leads), slot * this.leads)
    }
    this.remember(frame, start)
    return { start, end: start + frame.count }
  }

  private place(frame: Frame): number {
    const byTime = Math.round(((frame.timeMs - (this.originMs ?? 0)) * this.rateHz) / 1000)
    const follows = frame.sequence === this.expected.sequence
    return follows && Math.abs(byTime - this.expected.index) <= CLOCK_TOLERANCE_S * this.rateHz ? this.expected.index : byTime
  }

  private remember(frame: Frame, start: number): void {
    const end = start + frame.count
    this.placed.set(frame.sequence, start)
    if (this.placed.size > REMEMBERED_FRAMES) this.placed.delete(this.placed.keys().next().value ?? -1)
    if (end > this.latest) {
      this.latest = end
      this.expected = { sequence: frame.sequence + 1, index: end }
    }
    this.oldest = Math.max(0, this.latest - this.capacity)
    if (frame.seam) this.seamsAt = [...this.seamsAt.filter((index) => index >= this.oldest), start]
  }

  has(index: number): boolean {
    return this.stamps[index % this.capacity] === index
  }

  /** Raw value; only meaningful where `has` says so. */
  value(index: number, lead: number): number {
    return this.values[(index % this.capacity) * this.leads + lead] ?? 0
  }

  /** Device time of a sample instant, Unix ms. */
  timeMs(index: number): number {
    return (this.originMs ?? 0) + (index * 1000) / this.rateHz
  }

  /** The sample instant at a device time; fractional. */
  indexAt(timeMs: number): number {
    return this.originMs === null ? 0 : ((timeMs - this.originMs) * this.rateHz) / 1000
  }

  /** Instants in [start, end) at which the source restarted. */
  seams(start: number, end: number): number[] {
    return this.seamsAt.filter((index) => index >= start && index < end)
  }

  /** The runs in [start, end) that are there or (with `present` false) missing. */
  runs(start: number, end: number, present = true): Run[] {
    const found: Run[] = []
    let open = -1
    for (let index = start; index <= end; index += 1) {
      const match = index < end && this.has(index) === present
      if (match && open < 0) open = index
      if (!match && open >= 0) {
        found.push({ start: open, end: index })
        open = -1
      }
    }
    return found
  }
}
