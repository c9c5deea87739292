/** Helpers for the tests of this folder: frames, streams, and a canvas that writes down what is drawn on it. */
import type { Frame } from './frame'
import type { AnyCanvas, Context2d } from './paint'
import type { StreamInfo } from './ring'

export const CODES = ['I', 'II', 'III', 'aVR', 'aVL', 'aVF', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6']

export function streamInfo(change: Partial<StreamInfo> = {}): StreamInfo {
  const leads = CODES.map((code) => ({ code, name: code, scale: 1, baseline: 0, unit: 'uV' }))
  return { streamId: 'stream-1', kind: 'ecg', label: 'ECG', samplingRateHz: 100, leads, live: true, ...change }
}

/** 100 ms of a stream at 100 Hz: frame n holds the samples 10 n .. 10 n + 9, each with its own number as value. */
export function frame(sequence: number, change: Partial<Frame> = {}): Frame {
  const leads = change.leads ?? CODES.length
  const count = change.count ?? 10
  const samples = Int16Array.from({ length: leads * count }, (_unused, at) => sequence * count + Math.floor(at / leads))
  return {
    streamId: 'stream-1', sequence, timeMs: 1_000_000 + sequence * 100, rateHz: 100, leads, count, backfill: false, seam: false, samples, ...change,
  }
}

export interface Drawing {
  name: string
  args: unknown[]
}

export function recordingCanvas(): { canvas: AnyCanvas; context: Context2d; drawn: Drawing[] } {
  const drawn: Drawing[] = []
  const context = new Proxy({} as Record<string, unknown>, {
    get: (target, name: string) => {
      if (name === 'measureText') return (text: string) => ({ width: text.length * 6 })
      if (name === 'createPattern') return () => null
      if (name in target) return target[name]
      return (...args: unknown[]) => drawn.push({ name, args })
    },
    set: (target, name: string, value) => {
      target[name] = value
      return true
    },
  }) as unknown as Context2d
  const canvas = { width: 0, height: 0, getContext: () => context } as unknown as AnyCanvas
  return { canvas, context, drawn }
}
