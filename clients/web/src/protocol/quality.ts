/** Turns WebRTC statistics into one verdict in plain words. Pure: readings in, verdict out. */

/** Sums since the start over one direction, and momentary values; what a reading of getStats is reduced to. */
export interface Reading {
  /** ms, any clock that only goes forward */
  at: number
  received: number
  lost: number
  /** seconds the picture stood still, as the browser counts (freezes above 150 ms more than usual) */
  freezeSeconds: number
  framesDecoded: number
  /** seconds; null when unknown */
  roundTrip: number | null
  /** share 0..1 of what we send that the other side reported lost; null when unknown */
  uplinkLoss: number | null
}

export type Grade = 'unknown' | 'good' | 'fair' | 'poor'
/** The main cause, a key of the room's words. */
export type Cause = 'none' | 'measuring' | 'downlink_loss' | 'uplink_loss' | 'slow' | 'frozen'

export interface Verdict {
  grade: Grade
  cause: Cause
  /** percent of what should have arrived since the previous reading */
  lossPercent: number
  /** percent of what we send that the other side misses; null when unknown */
  uplinkPercent: number | null
  roundTripMs: number | null
}

/** Thresholds follow the telesonography criteria (<= 3 % loss, <= 200 ms) and what conversation tolerates (400 ms). */
const LOSS = { fair: 3, poor: 10 }
const ROUND_TRIP_MS = { fair: 250, poor: 500 }
const FREEZE = { fair: 0.05, poor: 0.25 }

export function verdict(previous: Reading | null, current: Reading): Verdict {
  const roundTripMs = current.roundTrip === null ? null : Math.round(current.roundTrip * 1000)
  if (!previous || current.at <= previous.at) return { grade: 'unknown', cause: 'measuring', lossPercent: 0, uplinkPercent: null, roundTripMs }
  const lost = Math.max(0, current.lost - previous.lost)
  const received = Math.max(0, current.received - previous.received)
  const lossPercent = lost + received === 0 ? 0 : (100 * lost) / (lost + received)
  const frozen = Math.max(0, current.freezeSeconds - previous.freezeSeconds) / ((current.at - previous.at) / 1000)
  const uplink = (current.uplinkLoss ?? 0) * 100
  const found: [Grade, Cause][] = [
    [gradeOf(lossPercent, LOSS), 'downlink_loss'],
    [gradeOf(uplink, LOSS), 'uplink_loss'],
    [gradeOf(roundTripMs ?? 0, ROUND_TRIP_MS), 'slow'],
    [gradeOf(frozen, FREEZE), 'frozen'],
  ]
  const worst = found.find(([grade]) => grade === 'poor') ?? found.find(([grade]) => grade === 'fair')
  return {
    grade: worst?.[0] ?? 'good',
    cause: worst?.[1] ?? 'none',
    lossPercent: tenths(lossPercent),
    uplinkPercent: current.uplinkLoss === null ? null : tenths(uplink),
    roundTripMs,
  }
}

const tenths = (value: number) => Math.round(value * 10) / 10

function gradeOf(value: number, limit: { fair: number; poor: number }): Grade {
  if (value >= limit.poor) return 'poor'
  return value >= limit.fair ? 'fair' : 'good'
}

/** One consumer's figures, as `window.__huizhen.stats()` gives them. */
export interface ConsumerStats {
  consumerId: string
  peerId: string
  source: string
  kind: string
  packetsReceived: number
  packetsLost: number
  bytesReceived: number
  framesDecoded: number
  frameWidth: number
  frameHeight: number
  freezeSeconds: number
  audioEnergy: number
  concealedSamples: number
  totalSamplesReceived: number
  jitterBufferDelayMs: number
}

type StatsEntry = Record<string, unknown> & { type: string }

function number(entry: StatsEntry, name: string): number {
  const value = entry[name]
  return typeof value === 'number' ? value : 0
}

/** Reduces a receiver's RTCStatsReport (webrtc-stats: RTCInboundRtpStreamStats) to ConsumerStats. */
export function consumerStats(
  entries: Iterable<StatsEntry>,
  who: Pick<ConsumerStats, 'consumerId' | 'peerId' | 'source' | 'kind'>,
): ConsumerStats {
  const inbound = [...entries].find((entry) => entry.type === 'inbound-rtp') ?? { type: 'none' }
  const emitted = number(inbound, 'jitterBufferEmittedCount')
  return {
    ...who,
    packetsReceived: number(inbound, 'packetsReceived'),
    packetsLost: number(inbound, 'packetsLost'),
    bytesReceived: number(inbound, 'bytesReceived'),
    framesDecoded: number(inbound, 'framesDecoded'),
    frameWidth: number(inbound, 'frameWidth'),
    frameHeight: number(inbound, 'frameHeight'),
    freezeSeconds: number(inbound, 'totalFreezesDuration'),
    audioEnergy: number(inbound, 'totalAudioEnergy'),
    concealedSamples: number(inbound, 'concealedSamples'),
    totalSamplesReceived: number(inbound, 'totalSamplesReceived'),
    jitterBufferDelayMs: emitted === 0 ? 0 : (1000 * number(inbound, 'jitterBufferDelay')) / emitted,
  }
}

/** What the two transports know: round trip of the chosen candidate pair, loss that the other side reported of what we send. */
export function linkFigures(entries: Iterable<StatsEntry>): { roundTrip: number | null; uplinkLoss: number | null } {
  let roundTrip: number | null = null
  let uplinkLoss: number | null = null
  for (const entry of entries) {
    if (entry.type === 'candidate-pair' && entry.nominated && typeof entry.currentRoundTripTime === 'number') {
      roundTrip = entry.currentRoundTripTime
    }
    if (entry.type === 'remote-inbound-rtp' && typeof entry.fractionLost === 'number') {
      uplinkLoss = Math.max(uplinkLoss ?? 0, entry.fractionLost)
    }
  }
  return { roundTrip, uplinkLoss }
}
