/**
 * Encodings for which the uplink has no room rest. Chromium stops sending the upper ones by itself, but goes on padding until its
 * estimate would carry them again (libwebrtc, CalculateMaxPadBitrateBps): a line of 300 kbit/s is full for ever then, and voices and
 * the picture that is left stand in its queue. An encoding that is not active is not padded for.
 */
import type { Producer } from 'mediasoup-client/types'

const LOOK_MS = 1000
/** So many looks in which it sent nothing, though the lowest did; more for one that never did: a long way needs seconds to begin. */
const IDLE_LOOKS = 2
const FIRST_LOOKS = 10
/** Until it is tried again, twice as long after each try; two looks and the longest wait are the 10 s in which all comes back. */
const WAIT_MS = [4000, 7000] as const
const HELD_MS = 5000

export class Resting {
  /** Encodings that may be sent, counted from the lowest. */
  active: number
  private sent: readonly number[] = []
  private idle = 0
  private wait: number = WAIT_MS[0]
  private changedAt = -Infinity

  constructor(private readonly count: number) {
    this.active = count
  }

  /** `sent`: frames since the beginning of each encoding, the lowest first. Returns `active`. */
  look(sent: readonly number[], now: number): number {
    const [lowest, top] = [0, this.active - 1].map((index) => (sent[index] ?? 0) > (this.sent[index] ?? 0))
    this.sent = sent
    if (!lowest) return this.active // muted or cut off: that says nothing of room
    this.idle = top ? 0 : this.idle + 1
    const since = now - this.changedAt
    if (this.idle >= (sent[this.active - 1] ? IDLE_LOOKS : FIRST_LOOKS)) {
      this.change(this.active - 1, now)
    } else if (this.active < this.count && since >= this.wait) {
      this.wait = Math.min(2 * this.wait, WAIT_MS[1])
      this.change(this.active + 1, now)
    } else if (this.active === this.count && since >= HELD_MS) {
      this.wait = WAIT_MS[0]
    }
    return this.active
  }

  private change(active: number, now: number): void {
    this.active = active
    this.changedAt = now
    this.idle = 0
  }
}

function framesSent(stats: RTCStatsReport, rids: readonly (string | undefined)[]): number[] {
  const frames = new Map<string | undefined, number>()
  for (const entry of stats.values()) if (entry.type === 'outbound-rtp') frames.set(entry.rid, entry.framesSent ?? 0)
  return rids.map((rid) => frames.get(rid) ?? 0)
}

/** Looks after a producer with several encodings until it is closed. */
export function restUnsent(producer: Producer): void {
  const sender = producer.rtpSender
  const rids = sender?.getParameters().encodings.map(({ rid }) => rid) ?? []
  if (!sender || rids.length < 2) return
  const resting = new Resting(rids.length)
  let active = resting.active
  const look = async (): Promise<void> => {
    const wanted = resting.look(framesSent(await sender.getStats(), rids), performance.now())
    if (wanted === active || producer.closed) return
    const parameters = sender.getParameters()
    parameters.encodings.forEach((encoding, index) => (encoding.active = index < wanted))
    await sender.setParameters(parameters)
    active = wanted
  }
  // Refused where something else changes the parameters at this moment, or the connection was just closed: the next look asks anew.
  const timer = setInterval(() => look().catch(() => undefined), LOOK_MS)
  producer.observer.on('close', () => clearInterval(timer))
}
