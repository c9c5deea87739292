/** The last minutes of one stream, each sample instant at its place in time, so that what is missing stays visible. */
import type { Frame } from './frame'

/** Frames that follow each other in sequence are joined without a seam up to this much disagreement of the device's clock. */
const CLOCK_TOLERANCE_S = 0.02
/** The next frame of an unbroken sequence cannot be from before the last, nor hours after it: then the clock was set. */
const CLOCK_BACK_S = 1
const CLOCK_AHEAD_S = 3_600
/** Remembered places of frames: ten minutes and more, so a repetition is always recognised. */
const REMEMBERED_FRAMES = 16_384

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
  /** by what fault of the device it broke off */
  message?: Sentence | null
}

/** In both languages, as the server says it. */
export interface Sentence {
  zh: string
  en: string
}

export interface Run {
  /** sample instants [start, end) */
  start: number
  end: number
}

/** Ten seconds a piece: what grows and goes is a piece, never the whole. */
const PIECE_SECONDS = 10

interface Piece {
  values: Int16Array
  /** 1 where the instant is there */
  there: Uint8Array
}

export class SignalRing {
  readonly rateHz: number
  readonly leads: number
  /** Sample instants that are kept. */
  private capacity: number
  private readonly pieceLength: number
  private readonly pieces = new Map<number, Piece>()
  private last: { number: number; piece: Piece | undefined } = { number: -1, piece: undefined }
  private readonly placed = new Map<number, Run>()
  private originMs: number | null = null
  private expected = { sequence: -1, index: 0 }
  /** One past the newest sample instant. */
  latest = 0
  /** The oldest sample instant that can still be there. */
  oldest = 0
  private seamsAt: number[] = []
  private skips: Run[] = []

  constructor(info: Pick<StreamInfo, 'samplingRateHz' | 'leads'>, seconds: number) {
    this.rateHz = info.samplingRateHz
    this.leads = info.leads.length
    this.capacity = Math.ceil(seconds * this.rateHz)
    this.pieceLength = Math.max(1, Math.min(this.capacity, Math.ceil(PIECE_SECONDS * this.rateHz)))
  }

  /** Keeps more or less from now on; what is older goes at once. */
  keep(seconds: number): void {
    this.capacity = Math.ceil(seconds * this.rateHz)
    this.forget()
  }

  /** Puts a frame at its place; gives the instants it fills, or null when it is a repetition, too old, or of another shape. */
  write(frame: Frame): Run | null {
    if (frame.leads !== this.leads || frame.rateHz !== this.rateHz || this.placed.has(frame.sequence)) return null
    this.originMs ??= frame.timeMs
    const start = this.place(frame)
    if (start < 0 || start < this.latest - this.capacity) return null
    for (let done = 0; done < frame.count;) {
      const number = Math.floor((start + done) / this.pieceLength)
      const at = start + done - number * this.pieceLength
      const take = Math.min(frame.count - done, this.pieceLength - at)
      const piece = this.pieceFor(number)
      piece.there.fill(1, at, at + take)
      piece.values.set(frame.samples.subarray(done * this.leads, (done + take) * this.leads), at * this.leads)
      done += take
    }
    this.remember(frame, start)
    return { start, end: start + frame.count }
  }

  private pieceFor(number: number): Piece {
    let piece = this.pieces.get(number)
    if (!piece) {
      piece = { values: new Int16Array(this.pieceLength * this.leads), there: new Uint8Array(this.pieceLength) }
      this.pieces.set(number, piece)
      this.last = { number, piece }
    }
    return piece
  }

  private pieceAt(index: number): Piece | undefined {
    const number = Math.floor(index / this.pieceLength)
    if (number !== this.last.number) this.last = { number, piece: this.pieces.get(number) }
    return this.last.piece
  }

  /** Where a frame stands that was put before, as long as it is remembered. */
  protected runOf(sequence: number): Run | undefined {
    return this.placed.get(sequence)
  }

  /** Instant 0 is at this time. */
  protected begin(originMs: number): void {
    this.originMs = originMs
  }

  /** Forgets what lies in a stretch, and which frames touched it. */
  protected clear({ start, end }: Run): void {
    for (const [number, piece] of this.pieces) {
      const first = number * this.pieceLength
      const [from, to] = [Math.max(start, first), Math.min(end, first + this.pieceLength)]
      if (to - from === this.pieceLength) this.pieces.delete(number)
      else if (to > from) piece.there.fill(0, from - first, to - first)
    }
    this.last = { number: -1, piece: undefined }
    for (const [sequence, run] of this.placed) if (run.start < end && run.end > start) this.placed.delete(sequence)
  }

  protected place(frame: Frame): number {
    const byTime = Math.round(((frame.timeMs - (this.originMs ?? 0)) * this.rateHz) / 1000)
    if (frame.sequence !== this.expected.sequence) return byTime
    const off = (byTime - this.expected.index) / this.rateHz
    if (Math.abs(off) <= CLOCK_TOLERANCE_S) return this.expected.index
    if (off > -CLOCK_BACK_S && off < CLOCK_AHEAD_S) return byTime
    // The device's clock was set: from here on its new time counts, and what was there moves along, with a seam between.
    this.originMs = frame.timeMs - (this.expected.index * 1000) / this.rateHz
    this.seamsAt.push(this.expected.index)
    return this.expected.index
  }

  private remember(frame: Frame, start: number): void {
    const end = start + frame.count
    this.placed.set(frame.sequence, { start, end })
    if (this.placed.size > REMEMBERED_FRAMES) this.placed.delete(this.placed.keys().next().value ?? -1)
    if (end > this.latest) {
      // Numbers are missing: the device measured this, and the record has it or will have it.
      if (this.expected.sequence >= 0 && frame.sequence > this.expected.sequence && start > this.latest) this.skips.push({ start: this.latest, end: start })
      this.latest = end
      this.expected = { sequence: frame.sequence + 1, index: end }
    }
    if (frame.seam) this.seamsAt.push(start)
    this.forget()
  }

  protected forget(): void {
    this.oldest = Math.max(0, this.latest - this.capacity)
    if (this.seamsAt.some((index) => index < this.oldest)) this.seamsAt = this.seamsAt.filter((index) => index >= this.oldest)
    if (this.skips.some((skip) => skip.end <= this.oldest)) this.skips = this.skips.filter((skip) => skip.end > this.oldest)
    for (const number of this.pieces.keys()) {
      if ((number + 1) * this.pieceLength > this.oldest) continue
      this.pieces.delete(number)
      this.last = { number: -1, piece: undefined }
    }
  }

  has(index: number): boolean {
    return index >= this.oldest && this.pieceAt(index)?.there[index % this.pieceLength] === 1
  }

  /** Raw value; only meaningful where `has` says so. */
  value(index: number, lead: number): number {
    return this.pieceAt(index)?.values[(index % this.pieceLength) * this.leads + lead] ?? 0
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

  /** Whether what is missing in [start, end) was measured and only did not come here (otherwise nothing was measured). */
  skipped(start: number, end: number): boolean {
    return this.skips.some((skip) => skip.start < end && skip.end > start)
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
