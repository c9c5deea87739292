/** What the server's analysis tells of the room's ECGs (signaling/PROTOCOL.md, "What the analysis tells"): kept, aged, put in order. Pure. */
export type Quality = 'good' | 'fair' | 'poor' | 'off'

export interface Analysis {
  streamId: string
  /** the device's clock, Unix seconds, up to where it speaks */
  deviceTime: number
  heartRate: number | null
  quality: Quality
  leads: Record<string, Quality>
  /** R waves found since the message before, the device's clock, Unix seconds */
  beats: number[]
  limits: { low: number; high: number }
  skippedSeconds: number
}

export interface Alarm {
  id: string
  streamId: string
  kind: string
  category: 'physiological' | 'technical'
  severity: 'high' | 'medium' | 'low'
  state: 'raised' | 'ended' | 'acknowledged'
  active: boolean
  over: boolean
  /** Unix seconds, the server's clock */
  since: number
  acknowledgedBy: { userId: string; role: string } | null
  message: { zh: string; en: string }
}

export const PATIENTS = ['adult', 'child', 'neonate'] as const
export type Patients = (typeof PATIENTS)[number]

/** The limits of the room's alarms, beats per minute; `by`: who chose them, null: the patient's age. */
export interface Limits {
  patients: Patients
  low: number
  high: number
  by?: { userId: string; role: string | null } | null
}

/** What each preset begins with (media/signals/analysis/alarms.py). */
export const PRESET_LIMITS: Record<Patients, Pick<Limits, 'low' | 'high'>> = {
  adult: { low: 50, high: 120 }, child: { low: 75, high: 160 }, neonate: { low: 100, high: 200 },
}
export const LIMIT_RANGE = { low: 20, high: 300 } as const

/** An alarm could not be acknowledged, or (id `limits`) limits not be changed. */
export interface Refusal {
  id: string
  message: { zh: string; en: string }
}

/** A message that is older speaks of the past: no rate is shown then. */
const FRESH_MS = 5_000
/** The server raises one alarm of a kind a stream at a time; what is not over is told again to a new viewer. */
const MAX_ALARMS = 64
const MAX_STREAMS = 32
const RANK = { high: 0, medium: 1, low: 2 } as const

export class Findings {
  private readonly analyses = new Map<string, { analysis: Analysis; heardAt: number }>()
  private readonly told = new Map<string, Alarm>()
  /** null: nobody chose any, those of the server hold */
  limits: Limits | null = null

  hear(analysis: Analysis, nowMs: number): void {
    this.analyses.delete(analysis.streamId)
    this.analyses.set(analysis.streamId, { analysis, heardAt: nowMs })
    if (this.analyses.size > MAX_STREAMS) this.analyses.delete(this.analyses.keys().next().value ?? '')
  }

  alarm(alarm: Alarm): void {
    if (alarm.over) this.told.delete(alarm.id)
    else this.told.set(alarm.id, alarm)
    if (this.told.size > MAX_ALARMS) this.told.delete(this.told.keys().next().value ?? '')
  }

  /** A new connection is told all alarms that are not over. */
  anew(): void {
    this.told.clear()
    this.limits = null
  }

  /** What is known of a stream now; null when nothing was heard lately. */
  of(streamId: string, nowMs: number): Analysis | null {
    const found = this.analyses.get(streamId)
    return found && nowMs - found.heardAt <= FRESH_MS ? found.analysis : null
  }

  /** All alarms that are to be shown: what waits for a person before what does not, the worst first, the newest first. */
  alarms(): Alarm[] {
    const waits = (alarm: Alarm) => (alarm.state === 'acknowledged' ? 1 : 0)
    return [...this.told.values()].sort((a, b) => waits(a) - waits(b) || RANK[a.severity] - RANK[b.severity] || b.since - a.since)
  }
}

/** What has to be heard: the worst alarm of the patient that holds and that nobody has seen or silenced. */
export function soundOf(alarms: readonly Alarm[], silenced: ReadonlySet<string>): 'high' | 'medium' | null {
  const loud = alarms.filter(({ id, state, category, severity }) => state === 'raised' && category === 'physiological' && severity !== 'low' && !silenced.has(id))
  if (loud.length === 0) return null
  return loud.some(({ severity }) => severity === 'high') ? 'high' : 'medium'
}
