/** What was fetched of a stored stream: pieces at their place in time, in any order, the rest unknown. */
import type { Frame } from './frame'
import { SignalRing, type Run, type StreamInfo } from './ring'

/** Frames whose numbers follow each other are joined up to this much disagreement of the clock, as live. */
const CLOCK_TOLERANCE_S = 0.02

/** Times of its frames are the session's. */
export class PastRing extends SignalRing {
  /** Where two pieces that were placed by time meet a sample or two apart: nothing is missing there. */
  private joints: Run[] = []

  /** `beginMs`: where the first piece begins; `startMs`: where the stream does, at or behind it. */
  constructor(info: Pick<StreamInfo, 'samplingRateHz' | 'leads'>, readonly beginMs: number, startMs: number) {
    super(info, Infinity)
    this.begin(beginMs)
    this.oldest = Math.max(0, Math.round(((startMs - beginMs) * this.rateHz) / 1000))
  }

  /** By its neighbours where they are known, so that pieces that were fetched apart fit to the sample. */
  protected override place(frame: Frame): number {
    const byTime = Math.round(((frame.timeMs - this.beginMs) * this.rateHz) / 1000)
    const before = this.runOf(frame.sequence - 1)
    const after = this.runOf(frame.sequence + 1)
    const tolerance = CLOCK_TOLERANCE_S * this.rateHz
    const near = [before?.end, after === undefined ? undefined : after.start - frame.count]
    const start = near.find((at) => at !== undefined && Math.abs(at - byTime) <= tolerance) ?? byTime
    const end = start + frame.count
    if (after && after.start > end && after.start - end <= tolerance) this.joints.push({ start: end, end: after.start })
    return start
  }

  protected override forget(): void {
    // Pieces go when their room is needed, see `drop`.
  }

  /** Forgets a stretch, so that it can be fetched again. */
  drop(run: Run): void {
    this.clear(run)
    this.joints = this.joints.filter(({ start, end }) => start >= run.end || end <= run.start)
  }

  override runs(start: number, end: number, present = true): Run[] {
    const found = super.runs(start, end, present)
    return present || this.joints.length === 0 ? found : found.filter((gap) => !this.joints.some((joint) => joint.start <= gap.start && gap.end <= joint.end))
  }

  /** Nobody said that what is missing was measured. */
  override skipped(): boolean {
    return false
  }
}
