/**
 * Tells when media that flowed has stopped: the first sign of a path that is gone, seconds before the browser's own.
 * A sign and no proof, for others may have nothing to send; whoever is told asks the signaling line.
 */

const LOOK_MS = 100
/** Voices are silent for 0.4 s at most (Opus in DTX), and pictures for less. */
const SILENT_MS = 500
/** Between two alarms, when media comes in pieces; less after one that was answered, for it cost but a question. */
const AGAIN_MS = 5_000
const AGAIN_ANSWERED_MS = 1_000
/** A page that was not run for so long has not listened either. */
const ASLEEP_MS = 1_000

/** The rule: what is seen of media and when, to alarms. Times in ms on one clock. */
export class Silence {
  private sign: number | null = null
  private heardAt = 0
  private lookedAt = 0
  private toldAt = -Infinity
  private pause = AGAIN_MS

  /** `sign` is another number whenever media came since the last look, null when none is expected. True once for each silence. */
  look(sign: number | null, now: number): boolean {
    const asleep = now - this.lookedAt > ASLEEP_MS
    this.lookedAt = now
    const flows = sign !== this.sign
    this.sign = sign
    if (flows || asleep) this.heardAt = now
    if (flows || sign === null || sign === 0 || this.heardAt <= this.toldAt) return false
    if (now - this.heardAt < SILENT_MS || now - this.toldAt < this.pause) return false
    this.toldAt = now
    this.pause = AGAIN_MS
    return true
  }

  /** The last alarm was a false one. */
  answered(): void {
    this.pause = AGAIN_ANSWERED_MS
  }
}

/** When the newest packet of these receivers came, on a clock of the browser's; 0 before the first, null without receivers. */
export function newestPacket(receivers: Iterable<Pick<RTCRtpReceiver, 'getSynchronizationSources'>>): number | null {
  let newest: number | null = null
  for (const receiver of receivers) {
    newest ??= 0
    for (const { timestamp } of receiver.getSynchronizationSources()) newest = Math.max(newest, timestamp)
  }
  return newest
}

/** Looks until the returned function is called. */
export function watchSilence(rule: Silence, sign: () => number | null, silent: () => void): () => void {
  const timer = setInterval(() => { if (rule.look(sign(), performance.now())) silent() }, LOOK_MS)
  return () => clearInterval(timer)
}
