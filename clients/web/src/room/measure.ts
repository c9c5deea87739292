/** `window.__huizhen`: what tests and load tests read. Marks are ms since navigation start. */
import type { EngineStatus } from '@/ecg/engine'
import type { ConsumerStats } from '@/protocol'

export interface Measures {
  marks: Record<string, number>
  /** Figures of the ECG on this page; samples are counted as instants (all leads together). */
  ecg: () => { samplesDrawn: number; lastSequence: number; delays: number[]; gaps: number; state: string }
  stats: () => Promise<{ consumers: Record<string, ConsumerStats> }>
}

declare global {
  interface Window {
    __huizhen?: Measures
  }
}

export interface Measuring {
  mark(name: string): void
  ecg(status: EngineStatus): void
  stats(read: () => Promise<ConsumerStats[]>): void
}

/** Begins afresh for one stay in a room. */
export function startMeasuring(scriptAt: number, target: Window = window): Measuring {
  const marks: Record<string, number> = { script: scriptAt }
  let latest: EngineStatus | null = null
  let read: () => Promise<ConsumerStats[]> = () => Promise.resolve([])
  target.__huizhen = {
    marks,
    ecg: () => ({
      samplesDrawn: latest?.samplesDrawn ?? 0,
      lastSequence: latest?.lastSequence ?? -1,
      delays: latest?.delays ?? [],
      gaps: latest?.gaps ?? 0,
      state: latest?.state ?? 'waiting',
    }),
    stats: async () => ({ consumers: Object.fromEntries((await read()).map((one) => [one.consumerId, one])) }),
  }
  return {
    mark: (name) => { marks[name] ??= performance.now() },
    ecg: (status) => { latest = status },
    stats: (reader) => { read = reader },
  }
}
