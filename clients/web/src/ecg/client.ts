/** Starts the ECG in a worker where canvases can go there, otherwise on the page's own thread. */
import { EcgEngine, type EngineMessage, type EngineStatus, type EngineTold } from './engine'
import type { Limits } from './findings'
import type { Strip } from './strip'
import type { ViewOptions } from './sweep'

export interface EcgHandle {
  set(options: ViewOptions): void
  /** Shows the past that ends at a device time (Unix ms); `here`: what is drawn now; null: what comes. */
  look(end: number | 'here' | null): void
  choose(streamId: string): void
  /** Gives a signal that is no ECG a canvas of its own (given away, once), or takes it back (null). */
  lane(streamId: string, canvas: HTMLCanvasElement | null, options: ViewOptions): void
  setLane(streamId: string, options: ViewOptions): void
  /** An alarm was seen by this person. */
  acknowledge(id: string): void
  /** Other limits for the room's alarms. */
  limit(limits: Limits): void
  /** The last seconds of what is shown, for print. */
  strip(): Promise<Strip | null>
  stop(): void
}

export function signalsUrl(location: Pick<Location, 'protocol' | 'host'>): string {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/signals/view`
}

function workerEngine(tell: (told: EngineTold) => void): { post: (message: EngineMessage, transfer?: Transferable[]) => void; end: () => void } {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'ecg' })
  worker.onmessage = ({ data }: MessageEvent<EngineTold>) => tell(data)
  return { post: (message, transfer = []) => worker.postMessage(message, transfer), end: () => worker.terminate() }
}

function pageEngine(tell: (told: EngineTold) => void): { post: (message: EngineMessage) => void; end: () => void } {
  const engine = new EcgEngine(tell, (width, height) => Object.assign(document.createElement('canvas'), { width, height }))
  return { post: (message) => engine.handle(message), end: () => undefined }
}

/** `canvas` is given away: it can be started only once. */
export function startEcg(canvas: HTMLCanvasElement, token: string, options: ViewOptions, tell: (status: EngineStatus) => void): EcgHandle {
  const away = typeof Worker === 'function' && 'transferControlToOffscreen' in canvas && typeof OffscreenCanvas === 'function'
  const asking: ((strip: Strip | null) => void)[] = []
  const hear = (told: EngineTold) => (told.type === 'strip' ? asking.shift()?.(told.strip) : tell(told.status))
  const engine = away ? workerEngine(hear) : pageEngine(hear)
  const url = signalsUrl(location)
  const start = { type: 'start' as const, url, token, options }
  if (away) {
    const offscreen = canvas.transferControlToOffscreen()
    engine.post({ ...start, canvas: offscreen }, [offscreen])
  } else {
    engine.post({ ...start, canvas })
  }
  const visible = () => engine.post({ type: 'visible', visible: !document.hidden })
  document.addEventListener('visibilitychange', visible)
  return {
    set: (changed) => engine.post({ type: 'options', options: changed }),
    look: (end) => engine.post({ type: 'look', end }),
    choose: (streamId) => engine.post({ type: 'choose', streamId }),
    lane: (streamId, own, changed) => {
      const given = own && away ? own.transferControlToOffscreen() : own
      engine.post({ type: 'lane', streamId, canvas: given, options: changed }, given && away ? [given as OffscreenCanvas] : [])
    },
    setLane: (streamId, changed) => engine.post({ type: 'laneOptions', streamId, options: changed }),
    acknowledge: (id) => engine.post({ type: 'acknowledge', id }),
    limit: (limits) => engine.post({ type: 'limits', limits: { ...limits } }),
    strip: () => new Promise((resolve) => {
      asking.push(resolve)
      engine.post({ type: 'strip' })
    }),
    stop: () => {
      document.removeEventListener('visibilitychange', visible)
      engine.post({ type: 'stop' })
      engine.end()
    },
  }
}
