/** The one time line of a recording: position, chapters, and what each track has to do at a moment. Pure. */
import type { RecordedAlarm } from './analysis'

export interface RecordedTrack {
  trackId: string
  peerId: string
  kind: 'audio' | 'video'
  source: string
  /** Whose it is; null for a recording from before participants were kept. */
  participant: { role: string; name: string; nameEn: string } | null
  url: string
  /** ms from the recording's start */
  startMs: number
  endMs: number
}

export interface RecordedSignal {
  streamId: string
  kind: string
  label: string
  samplingRateHz: number
  leads: { code: string; name?: string; scale: number; baseline: number; unit?: string }[]
  /** ms from the recording's start; negative when the device measured before it */
  startMs: number
  endMs: number
  url: string
  /** where its frames of some seconds are had, and one lead of it decimated */
  partUrl: string
  overviewUrl: string
  /** where beats, rate and quality are had; null for what is no ECG */
  analysisUrl?: string | null
  alarms?: RecordedAlarm[]
}

export interface Recording {
  id: string
  startedAt: string
  endedAt: string | null
  durationMs: number | null
  tracks: RecordedTrack[]
  signals: RecordedSignal[]
}

export type ChapterKind = 'start' | 'joined' | 'left' | 'ecg' | 'ultrasound' | 'screen' | 'alarm' | 'end'

export interface Chapter {
  atMs: number
  kind: ChapterKind
  alarm?: RecordedAlarm
}

/** What happened nearer than this to the start or the end is the start or the end. */
const EDGE_MS = 1_500
/** A player further off than this is set right; less is not heard and not seen. */
const DRIFT_MS = 250
/** More chapters than this hide the others; the worst alarms are kept. */
const ALARM_CHAPTERS = 24
const RANK = { high: 0, medium: 1, low: 2 } as const
const TRACK_CHAPTER: Partial<Record<string, ChapterKind>> = { ultrasound: 'ultrasound', screen: 'screen' }

export function durationOf(recording: Recording): number {
  return recording.durationMs ?? Math.max(0, ...recording.tracks.map((track) => track.endMs))
}

export function chaptersOf(recording: Recording): Chapter[] {
  const duration = durationOf(recording)
  const chapters: Chapter[] = [{ atMs: 0, kind: 'start' }]
  const people = new Map<string, { from: number; to: number }>()
  for (const { peerId, source, startMs, endMs } of recording.tracks) {
    const special = TRACK_CHAPTER[source]
    if (special) {
      chapters.push({ atMs: startMs, kind: special })
      continue
    }
    const known = people.get(peerId)
    people.set(peerId, { from: Math.min(known?.from ?? startMs, startMs), to: Math.max(known?.to ?? endMs, endMs) })
  }
  for (const { from, to } of people.values()) {
    if (from > EDGE_MS) chapters.push({ atMs: from, kind: 'joined' })
    if (to < duration - EDGE_MS) chapters.push({ atMs: to, kind: 'left' })
  }
  for (const { kind, startMs } of recording.signals) if (kind === 'ecg') chapters.push({ atMs: Math.max(0, startMs), kind: 'ecg' })
  chapters.push(...alarmChapters(recording), { atMs: duration, kind: 'end' })
  return chapters.filter(({ atMs }) => atMs <= duration).sort((a, b) => a.atMs - b.atMs)
}

/** A little before each alarm: its cause lies there. */
const ALARM_LEAD_MS = 5_000

function alarmChapters({ signals }: Recording): Chapter[] {
  return signals
    .flatMap(({ alarms = [] }) => alarms)
    .sort((a, b) => RANK[a.severity] - RANK[b.severity] || a.atMs - b.atMs)
    .slice(0, ALARM_CHAPTERS)
    .map((alarm) => ({ atMs: Math.max(0, alarm.atMs - ALARM_LEAD_MS), kind: 'alarm' as const, alarm }))
}

/** What a player can be told and asked; HTMLMediaElement has all of it. */
export interface Player {
  currentTime: number
  readonly paused: boolean
  readonly readyState: number
  readonly ended: boolean
  /** seconds; NaN before it is known */
  readonly duration: number
  play(): Promise<void>
  pause(): void
}

/**
 * Brings one player to the position: seeks when it is off by more than a little, plays only within its own time.
 * Gives false while it has no picture or sound for this moment, so that the others wait for it.
 */
export function follow(player: Player, track: Pick<RecordedTrack, 'startMs' | 'endMs'>, positionMs: number, playing: boolean): boolean {
  const inside = positionMs >= track.startMs && positionMs < track.endMs
  const length = Number.isFinite(player.duration) ? player.duration * 1000 : Infinity
  const wanted = Math.min(length, Math.max(0, Math.min(positionMs, track.endMs) - track.startMs))
  if (Math.abs(player.currentTime * 1000 - wanted) > DRIFT_MS) player.currentTime = wanted / 1000
  const over = player.ended || wanted >= length
  if (playing && inside && !over && player.paused) player.play().catch(() => undefined) // asked again at the next step
  if ((!playing || !inside) && !player.paused) player.pause()
  // HAVE_FUTURE_DATA: enough to go on from here (HTML, section 4.8.11.7).
  return !inside || over || player.readyState >= 3
}

/** A clock that can be set, run and held. `now` in ms, any clock that goes forward. */
export class TransportClock {
  private base = 0
  private since: number | null = null

  constructor(readonly durationMs: number) {}

  get running(): boolean {
    return this.since !== null
  }

  position(now: number): number {
    const position = this.base + (this.since === null ? 0 : now - this.since)
    return Math.min(this.durationMs, Math.max(0, position))
  }

  seek(positionMs: number, now: number): void {
    this.base = Math.min(this.durationMs, Math.max(0, positionMs))
    if (this.since !== null) this.since = now
  }

  run(now: number): void {
    if (this.position(now) >= this.durationMs) this.base = 0
    this.since ??= now
  }

  hold(now: number): void {
    this.base = this.position(now)
    this.since = null
  }
}
