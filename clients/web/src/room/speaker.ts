/** Who stands on the stage because of speaking: the server says whose voice is heard most, this keeps the stage calm. */

/** Nobody is taken off the stage sooner than this: a question and a short answer should not swap pictures twice. */
export const HOLD_MS = 2_000

export class SpeakerHold {
  shown: string | null = null
  private since = Number.NEGATIVE_INFINITY

  /**
   * Takes the present speaker (null: nobody) and who may stand there; returns how long to wait before looking again,
   * null when there is nothing to wait for. Our own voice moves nothing. `now` in ms.
   */
  look(speaker: string | null, others: ReadonlySet<string>, now: number): number | null {
    if (this.shown !== null && !others.has(this.shown)) this.shown = null
    if (speaker === null || speaker === this.shown || !others.has(speaker)) return null
    const left = this.shown === null ? 0 : this.since + HOLD_MS - now
    if (left > 0) return left
    this.shown = speaker
    this.since = now
    return null
  }
}
