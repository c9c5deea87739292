/** Looking back further than what is kept here: the page of the past comes from the server. */
import { describe, expect, it, vi } from 'vitest'
import { Monitor } from './monitor'
import { PastError, type PastSource } from './past'
import { DEFAULT_OPTIONS, Sweep } from './sweep'
import { frame, recordingCanvas, streamInfo } from './testing'

const LIVE_MS = 1_000_000
/** The session's clock is this much ahead of the device's. */
const AHEAD_MS = 5_000

function setUp(source: PastSource) {
  const { canvas, context, drawn } = recordingCanvas()
  const sweep = new Sweep(canvas, context, () => recordingCanvas().canvas)
  sweep.set({ ...DEFAULT_OPTIONS, width: 1000, height: 500 })
  const monitor = new Monitor(sweep, () => source)
  monitor.streamsAre([streamInfo()])
  monitor.clock({ streamId: 'stream-1', at: LIVE_MS / 1000, offset: AHEAD_MS / 1000, driftPpm: 0 })
  for (let sequence = 0; sequence < 300; sequence += 1) {
    monitor.frame(frame(sequence), LIVE_MS + 50 + sequence * 100)
    monitor.tick(LIVE_MS + 100 + sequence * 100)
  }
  return { monitor, drawn, span: () => monitor.status(LIVE_MS + 30_000).span }
}

const source = (change: Partial<PastSource> = {}): PastSource => ({
  extent: () => Promise.resolve({ startMs: LIVE_MS + AHEAD_MS - 3_600_000, endMs: LIVE_MS + AHEAD_MS + 30_000, alarms: [] }),
  part: () => Promise.resolve(new ArrayBuffer(0)),
  overview: () => Promise.resolve(new Int16Array()),
  ...change,
})

describe('looking back over what the server keeps', () => {
  it('reaches to the first sample that is stored', async () => {
    const { monitor, span } = setUp(source())
    monitor.look('here')
    expect(span()?.state).toBe('ready')
    await vi.waitFor(() => expect(span()?.oldestMs).toBe(LIVE_MS - 3_600_000))
    monitor.look(LIVE_MS - 1_800_000)
    expect(span()).toMatchObject({ pastMs: LIVE_MS - 1_800_000, state: 'loading' })
    await vi.waitFor(() => expect(span()?.state).toBe('ready'))
    // No further than the first page.
    monitor.look(-9e9)
    expect(span()?.pastMs).toBeGreaterThan(LIVE_MS - 3_600_000)
    expect(span()?.pastMs).toBeLessThan(LIVE_MS - 3_580_000)
    monitor.look(null)
    expect(span()).toMatchObject({ pastMs: null, state: 'ready' })
  })

  it('asks by the session’s clock, for what the page shows and what filters need', async () => {
    const part = vi.fn(() => Promise.resolve(new ArrayBuffer(0)))
    const { monitor, span } = setUp(source({ part }))
    monitor.look('here')
    await vi.waitFor(() => expect(span()?.oldestMs).toBeLessThan(LIVE_MS))
    monitor.look(LIVE_MS - 1_800_000)
    await vi.waitFor(() => expect(span()?.state).toBe('ready'))
    const asked = (part.mock.calls as unknown as [number, number][]).map(([fromMs]) => fromMs)
    const end = LIVE_MS - 1_800_000 + AHEAD_MS
    expect(Math.max(...asked)).toBeGreaterThan(end - 10_001)
    expect(Math.max(...asked)).toBeLessThan(end)
    expect(Math.min(...asked)).toBeLessThanOrEqual(end - 20_000)
    expect(Math.min(...asked)).toBeGreaterThan(end - 45_000)
  })

  it('says why a page is not there, and asks again when a person does', async () => {
    const part = vi.fn<PastSource['part']>(() => Promise.reject(new PastError({ zh: '忙', en: 'busy' })))
    const { monitor, span } = setUp(source({ part }))
    monitor.look('here')
    await vi.waitFor(() => expect(span()?.oldestMs).toBeLessThan(LIVE_MS))
    monitor.look(LIVE_MS - 1_800_000)
    await vi.waitFor(() => expect(span()).toMatchObject({ state: 'failed', why: { en: 'busy' } }))
    part.mockImplementation(() => Promise.resolve(new ArrayBuffer(0)))
    monitor.look(LIVE_MS - 1_800_000)
    await vi.waitFor(() => expect(span()?.state).toBe('ready'))
  })

  it('shows what is kept here while the server says nothing', async () => {
    const { monitor, span } = setUp(source({ extent: () => Promise.reject(new PastError({ zh: '无', en: 'none' })) }))
    monitor.look('here')
    monitor.look(0)
    await vi.waitFor(() => expect(span()?.state).toBe('failed'))
    expect(span()?.pastMs).toBeGreaterThanOrEqual(LIVE_MS)
    expect(monitor.strip()).not.toBeNull()
  })

  it('fetches nothing while nobody looks back', () => {
    const extent = vi.fn(source().extent)
    setUp(source({ extent }))
    expect(extent).not.toHaveBeenCalled()
  })
})
