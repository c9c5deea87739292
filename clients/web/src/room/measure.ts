/** `window.__huizhen`: what tests and load tests read. Marks are ms since navigation start. */
import type { EngineStatus } from '@/ecg/engine'
import type { ConsumerStats, Reduction } from '@/protocol'

export interface Measures {
  marks: Record<string, number>
  /** Figures of the ECG on this page; samples are counted as instants (all leads together), `frames` are ms between two pictures, `drawing` ms of work in each. */
  ecg: () => { samplesDrawn: number; lastSequence: number; delays: number[]; gaps: number; stoppedMs: number; stops: number; state: string; frames: number[]; drawing: number[] }
  stats: () => Promise<{ consumers: Record<string, ConsumerStats> }>
  /** What our line had to give up and got back, oldest first; `at` in ms since navigation start. */
  reduced: (Reduction & { at: number })[]
}

/** Far more than a consult on the worst of lines makes. */
const REDUCTIONS_KEPT = 1_000
/** Five minutes of pictures at 60 a second. */
const FRAMES_KEPT = 18_000

declare global {
  interface Window {
    __huizhen?: Measures
  }
}

export interface Measuring {
  mark(name: string): void
  /** The names of the marks so far. */
  passed(): string[]
  ecg(status: EngineStatus): void
  stats(read: () => Promise<ConsumerStats[]>): void
  reduced(what: Reduction): void
}

/** Begins afresh for one stay in a room. */
export function startMeasuring(scriptAt: number, target: Window = window): Measuring {
  const marks: Record<string, number> = { script: scriptAt }
  let latest: EngineStatus | null = null
  let read: () => Promise<ConsumerStats[]> = () => Promise.resolve([])
  const frames: number[] = []
  const drawing: number[] = []
  const reduced: Measures['reduced'] = []
  target.__huizhen = {
    marks,
    reduced,
    ecg: () => ({
      samplesDrawn: latest?.samplesDrawn ?? 0,
      lastSequence: latest?.lastSequence ?? -1,
      delays: latest?.delays ?? [],
      gaps: latest?.gaps ?? 0,
      stoppedMs: latest?.stoppedMs ?? 0,
      stops: latest?.stops ?? 0,
      state: latest?.state ?? 'waiting',
      frames,
      drawing,
    }),
    stats: async () => ({ consumers: Object.fromEntries((await read()).map((one) => [one.consumerId, one])) }),
  }
  return {
    mark: (name) => { marks[name] ??= performance.now() },
    passed: () => Object.keys(marks),
    ecg: (status) => {
      latest = status
      if (frames.length > FRAMES_KEPT) frames.length = drawing.length = 0
      frames.push(...status.frames)
      drawing.push(...status.drawing)
    },
    stats: (reader) => { read = reader },
    reduced: (what) => {
      reduced.push({ ...what, at: performance.now() })
      if (reduced.length > REDUCTIONS_KEPT) reduced.shift()
    },
  }
}
