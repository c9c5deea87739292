import { describe, expect, it } from 'vitest'
import { layOut, layoutsFor, leadOrder, type LayoutWishes } from './layout'
import { Monitor } from './monitor'
import type { Analysis } from './findings'
import { gapWords } from './paint'
import { Playout } from './playout'
import { SignalRing } from './ring'
import { DEFAULT_OPTIONS, Sweep } from './sweep'
import { CODES, frame, recordingCanvas, streamInfo } from './testing'

describe('SignalRing', () => {
  it('keeps every sample at its instant', () => {
    const ring = new SignalRing(streamInfo(), 10)
    expect(ring.write(frame(0))).toEqual({ start: 0, end: 10 })
    ring.write(frame(1))
    expect([ring.value(0, 0), ring.value(19, 11), ring.has(20), ring.latest]).toEqual([0, 19, false, 20])
    expect(ring.timeMs(15)).toBe(1_000_150)
    expect(ring.indexAt(1_000_150)).toBe(15)
  })

  it('shows what is missing, and takes it when it comes late', () => {
    const ring = new SignalRing(streamInfo(), 10)
    for (const sequence of [0, 1, 4]) ring.write(frame(sequence))
    expect(ring.runs(0, 50, false)).toEqual([{ start: 20, end: 40 }])
    expect(ring.runs(0, 50)).toEqual([{ start: 0, end: 20 }, { start: 40, end: 50 }])
    ring.write(frame(3, { backfill: true }))
    expect(ring.runs(0, 50, false)).toEqual([{ start: 20, end: 30 }])
    expect(ring.value(35, 0)).toBe(35)
  })

  it('joins frames that follow each other although the clock wavers, but not across a jump', () => {
    const ring = new SignalRing(streamInfo(), 10)
    ring.write(frame(0))
    expect(ring.write(frame(1, { timeMs: 1_000_110 }))).toEqual({ start: 10, end: 20 })
    expect(ring.write(frame(2, { timeMs: 1_000_700 }))).toEqual({ start: 70, end: 80 })
  })

  it('ignores repetitions, other shapes and what is older than it holds', () => {
    const ring = new SignalRing(streamInfo(), 1)
    for (let sequence = 0; sequence < 30; sequence += 1) ring.write(frame(sequence))
    expect(ring.write(frame(29))).toBeNull()
    expect(ring.write(frame(30, { leads: 3 }))).toBeNull()
    expect(ring.write(frame(500, { timeMs: 1_000_000 }))).toBeNull()
    expect([ring.oldest, ring.has(199), ring.has(200)]).toEqual([200, false, true])
  })
})

describe('SignalRing over a long time', () => {
  const ended = 700
  const ring = new SignalRing(streamInfo(), 60)
  for (let sequence = 0; sequence < ended; sequence += 1) ring.write(frame(sequence, sequence === 100 ? { seam: true } : {}))

  it('keeps what it was asked to, across its pieces, and no more', () => {
    expect([ring.latest, ring.oldest]).toEqual([7000, 1000])
    expect(ring.runs(0, 7000)).toEqual([{ start: 1000, end: 7000 }])
    for (const index of [1000, 1999, 2000, 6999]) expect(ring.value(index, 3)).toBe((index << 16) >> 16)
    expect(ring.seams(0, 7000)).toEqual([1000])
    ring.keep(10)
    expect([ring.oldest, ring.has(5999), ring.has(6000)]).toEqual([6000, false, true])
    expect(ring.seams(0, 7000)).toEqual([])
  })

  it('goes on with a seam when the device\'s clock is set back or hours ahead', () => {
    for (const jump of [-3_600_000, 100_000_000]) {
      const set = new SignalRing(streamInfo(), 60)
      set.write(frame(0))
      expect(set.write(frame(1, { timeMs: 1_000_100 + jump }))).toEqual({ start: 10, end: 20 })
      expect(set.write(frame(2, { timeMs: 1_000_200 + jump }))).toEqual({ start: 20, end: 30 })
      expect([set.seams(0, 30), set.timeMs(20)]).toEqual([[10], 1_000_200 + jump])
    }
  })
})

describe('Playout', () => {
  /** Frames of 100 ms on a line with this lateness each; gives the delay after them. */
  const delayAfter = (lateness: number[]) => {
    const playout = new Playout()
    lateness.forEach((late, index) => playout.arrived(index * 100 + 100 + late, index * 100 + 100, 100))
    return playout.target()
  }

  it('is one frame, the line and the least margin on an even line', () => {
    expect(delayAfter(Array.from({ length: 50 }, () => 5))).toBe(100 + 5 + 12)
  })

  it('grows with jitter until the trace would hardly have stood, and never beyond its bound', () => {
    const jittery = Array.from({ length: 100 }, (_unused, index) => 5 + (index % 5) * 10)
    const margin = delayAfter(jittery) - 105
    expect(margin).toBeGreaterThan(32)
    expect(margin).toBeLessThanOrEqual(44)
    expect(delayAfter(Array.from({ length: 100 }, (_unused, index) => (index % 10) * 95))).toBe(100 + 280)
  })

  it('lets a single hiccup pass', () => {
    expect(delayAfter(Array.from({ length: 100 }, (_unused, index) => (index === 70 ? 40 : 5)))).toBe(100 + 5 + 12)
  })

  it('follows a line that changes its way within seconds', () => {
    const changed = Array.from({ length: 200 }, (_unused, index) => (index < 100 ? 5 : 405))
    expect(delayAfter(changed)).toBeLessThan(100 + 405 + 80)
    expect(delayAfter([...changed, ...Array.from({ length: 100 }, () => 5)])).toBeLessThanOrEqual(100 + 5 + 280)
  })

  it('stands for less than 1 % of the time on a line that loses one packet in thirty', () => {
    // A lost piece comes with the acknowledgement of the next one, 60 ms and a round trip of 20 ms later; what follows waits for it.
    let seed = 7
    const chance = () => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648
    const [playout, frame] = [new Playout(), 60]
    let [newest, arrived, next, stopped, head] = [0, 0, frame, 0, 0]
    const coming: { at: number; end: number }[] = []
    for (let now = 0; now < 120_000; now += 4) {
      for (; next <= now; next += frame) {
        let at = next + 10
        while (chance() < 0.03) at += frame + 25
        arrived = Math.max(arrived, at)
        coming.push({ at: arrived, end: next })
      }
      for (; coming[0] && coming[0].at <= now; coming.shift()) {
        newest = coming[0].end
        playout.arrived(now, newest, frame)
      }
      const to = Math.min(newest, playout.due(now) ?? 0)
      if (now > 20_000 && to <= head) stopped += 4
      head = Math.max(head, to)
    }
    expect(stopped / 100_000).toBeLessThan(0.01)
    expect(playout.target()).toBeLessThan(60 + 10 + 160)
  })

  it('follows frames that get longer by and by without a stop, and back', () => {
    const playout = new Playout()
    let [length, newest, head, stopped, longest] = [60, 0, 0, 0, 0]
    let next = length
    for (let now = 0; now < 60_000; now += 4) {
      for (; next + 5 <= now; next += length) {
        newest = next
        playout.arrived(now, newest, length)
        const wished = now < 10_000 ? 60 : now < 30_000 ? 200 : 60
        length = Math.max(length * 0.94, Math.min(length * 1.06, wished))
        longest = Math.max(longest, length)
      }
      const to = Math.min(newest, playout.due(now) ?? 0)
      if (now > 1_000 && to <= head) stopped += 4
      head = Math.max(head, to)
      if (now === 29_000) expect(playout.target()).toBeCloseTo(200 + 5 + 12, -1)
    }
    expect(longest).toBe(200)
    expect(stopped / 59_000).toBeLessThan(0.005)
    expect(playout.target()).toBeLessThan(60 + 5 + 12 + 8)
  })

  it('is not misled by the history that comes in one burst at the start', () => {
    const playout = new Playout()
    for (let age = 100; age >= 0; age -= 1) playout.arrived(20_005, 20_000 - age * 100, 100)
    expect(playout.target()).toBe(100 + 5 + 12)
  })

  it('never runs dry within its margin, and moves evenly', () => {
    const playout = new Playout()
    let previous = Number.NEGATIVE_INFINITY
    let end = 0
    for (let now = 0; now < 10_000; now += 10) {
      if (now % 100 === 0) {
        end = now
        playout.arrived(now + 5, end, 100)
      }
      const due = playout.due(now + 5) ?? 0
      if (now > 1000) {
        expect(due).toBeLessThanOrEqual(end)
        expect(due - previous).toBeCloseTo(10, 0)
      }
      previous = due
    }
  })

  it('knows nothing before the first frame', () => {
    expect(new Playout().due(5)).toBeNull()
  })
})

describe('layOut', () => {
  const wishes: LayoutWishes = { width: 1000, height: 500, devicePixelRatio: 2, layout: 'auto', scale: 1, speed: 25, gain: 10 }
  const leads = streamInfo().leads

  it('puts twelve leads in two columns on a desk, true to size', () => {
    const layout = layOut(wishes, leads)
    expect([layout.name, layout.width, layout.height, layout.scale]).toEqual(['6x2', 2000, 1000, 1])
    expect(layout.pxPerMm).toBeCloseTo((2 * 96) / 25.4, 6)
    expect(layout.pxPerSecond).toBeCloseTo(25 * layout.pxPerMm, 6)
    expect(layout.pxPerMillivolt).toBeCloseTo(10 * layout.pxPerMm, 6)
    expect(layout.cells.filter(({ column }) => column === 0).map(({ label }) => label)).toEqual(CODES.slice(0, 6))
    const [left, right] = layout.columns
    expect(right!.right - right!.left).toBe(left!.right - left!.left)
  })

  it.each([
    [{ width: 390, height: 640 }, '12x1'],
    [{ width: 390, height: 330 }, '6x2'],
    [{ width: 844, height: 200 }, '3x4'],
  ])('fits a phone of %o as %s', (size, name) => {
    const layout = layOut({ ...wishes, ...size }, leads)
    expect(layout.name).toBe(name)
    expect(layout.cells.every(({ top, height }) => top + height <= layout.height)).toBe(true)
  })

  it('makes the paper smaller when there is no room, and says so', () => {
    expect(layOut({ ...wishes, height: 260, layout: '6x2' }, leads).scale).toBeCloseTo(260 / 6 / (13 * (96 / 25.4)), 3)
  })

  it('rules the paper by this screen\'s own millimetre', () => {
    const layout = layOut({ ...wishes, scale: 1.1 }, leads)
    expect(layout.pxPerMm).toBeCloseTo((2 * 1.1 * 96) / 25.4, 6)
    expect([layout.scale, layout.pxPerSecond / layout.pxPerMm, layout.pxPerMillivolt / layout.pxPerMm]).toEqual([1, 25, 10])
  })

  it('puts a rhythm strip of lead II below, four times as long', () => {
    const layout = layOut({ ...wishes, height: 700, layout: '3x4r' }, leads)
    const strip = layout.columns[4]!
    expect(layout.cells.filter(({ column }) => column === 4).map(({ label }) => label)).toEqual(['II'])
    expect(layout.cells.filter(({ column }) => column === 1).map(({ label }) => label)).toEqual(['aVR', 'aVL', 'aVF'])
    expect([strip.left, strip.right, strip.bottom]).toEqual([layout.columns[0]!.left, layout.width, layout.height])
    expect(strip.seconds).toBeGreaterThan(layout.seconds * 4)
    expect(layout.columns.slice(0, 4).every(({ bottom }) => bottom === strip.top)).toBe(true)
  })

  it('stands 15 and 18 leads as limb, chest and further leads', () => {
    const all = ['I', 'II', 'III', 'aVR', 'aVL', 'aVF', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6', 'V7', 'V8', 'V9', 'V3R', 'V4R', 'V5R']
    for (const codes of [all, all.slice(0, 15)]) {
      const layout = layOut({ ...wishes, layout: '6x3' }, codes.map((code) => ({ code })))
      for (const column of [0, 1, 2]) {
        expect(layout.cells.filter((cell) => cell.column === column).map(({ label }) => label)).toEqual(codes.slice(column * 6, column * 6 + 6))
      }
    }
    expect(layoutsFor(18)).toContain('6x3')
    expect(layoutsFor(12)).not.toContain('6x3')
    expect(layoutsFor(1)).toEqual(['auto', '12x1'])
    expect(layOut({ ...wishes, height: 330 }, all.map((code) => ({ code }))).name).toBe('6x3')
  })

  it('shows one lead alone, the first when the wanted one is not there', () => {
    expect(layOut({ ...wishes, layout: 'single', lead: 'V2' }, leads).cells.map(({ label }) => label)).toEqual(['V2'])
    expect(layOut({ ...wishes, layout: 'single', lead: 'V9' }, leads).cells.map(({ label }) => label)).toEqual(['I'])
    expect(layOut({ ...wishes, layout: 'single' }, []).cells).toEqual([])
  })

  it('turns aVR round in the order of Cabrera', () => {
    const cells = layOut({ ...wishes, layout: '12x1', order: 'cabrera' }, leads).cells
    expect(cells.map(({ label }) => label).slice(0, 7)).toEqual(['aVL', 'I', '−aVR', 'II', 'aVF', 'III', 'V1'])
    expect(cells[2]!.perUnit).toBe(-cells[1]!.perUnit)
  })

  it('orders leads as doctors read them', () => {
    expect(leadOrder([{ code: 'V1' }, { code: 'SpO2' }, { code: 'II' }, { code: 'I' }])).toEqual([3, 2, 0, 1])
  })

  it('draws one millivolt ten millimetres high whatever the unit', () => {
    const layout = layOut(wishes, leads)
    expect((layout.cells[0]?.perUnit ?? 0) * 1000).toBeCloseTo(10 * layout.pxPerMm, 6)
    expect(layOut(wishes, [{ code: 'I', unit: 'mV' }]).cells[0]?.perUnit).toBeCloseTo(10 * layout.pxPerMm, 6)
  })
})

function setUp() {
  const { canvas, context, drawn } = recordingCanvas()
  const sweep = new Sweep(canvas, context, () => recordingCanvas().canvas)
  sweep.set({ ...DEFAULT_OPTIONS, width: 1000, height: 500 })
  const monitor = new Monitor(sweep)
  monitor.streamsAre([streamInfo()])
  drawn.length = 0
  return { monitor, sweep, drawn, canvas }
}

/** Frames from..to, each 5 ms after its end, with a picture every 20 ms. */
function run(monitor: Monitor, from: number, to: number, skip: number[] = []): number {
  let now = 0
  for (let sequence = from; sequence <= to; sequence += 1) {
    const end = 1_000_000 + (sequence + 1) * 100
    if (!skip.includes(sequence)) monitor.frame(frame(sequence), end + 5)
    for (let step = 0; step < 5; step += 1) {
      now = end + 5 + step * 20
      monitor.tick(now)
    }
  }
  return now
}

describe('Monitor', () => {
  it('draws every sample once, a fixed time after it was measured', () => {
    const { monitor } = setUp()
    const now = run(monitor, 0, 99)
    const status = monitor.status(now)
    expect(status.state).toBe('live')
    // What the playout still holds back is not drawn yet: 100 ms of frame, 5 of line, 12 of margin.
    expect(status.samplesDrawn).toBeGreaterThan(980)
    expect(status.samplesDrawn).toBeLessThanOrEqual(1000)
    expect(status.lastSequence).toBeGreaterThanOrEqual(98)
    expect(status.gaps).toBe(0)
    expect(status.delays.length).toBeGreaterThan(80)
    expect(Math.min(...status.delays)).toBeGreaterThanOrEqual(117)
    expect(Math.max(...status.delays)).toBeLessThanOrEqual(117 + 20 + 10)
  })

  it('counts for how long the pen stood', () => {
    const { monitor } = setUp()
    const now = run(monitor, 0, 49)
    expect(monitor.status(now)).toMatchObject({ stoppedMs: 0, stops: 0 })
    // The next frame is 300 ms late: what was held back, 117 ms, is drawn meanwhile, then nothing.
    for (let at = now + 20; at <= now + 320; at += 20) monitor.tick(at)
    const { stoppedMs, stops } = monitor.status(now + 320)
    expect(stops).toBe(1)
    expect(stoppedMs).toBeGreaterThanOrEqual(260)
    expect(stoppedMs).toBeLessThanOrEqual(320)
    monitor.tick(now + 420, true)
    expect(monitor.status(now + 420).stoppedMs).toBe(stoppedMs)
  })

  it('counts and hatches what never came', () => {
    const { monitor, drawn } = setUp()
    const now = run(monitor, 0, 40, [20, 21, 22, 23, 24])
    expect(monitor.status(now)).toMatchObject({ gaps: 1 })
    expect(monitor.status(now).samplesDrawn).toBeLessThan(41 * 10 - 50 + 1)
    expect(drawn.filter(({ name, args }) => name === 'fillText' && args[0] === '0.5 s')).toHaveLength(2)
  })

  it('wipes only a narrow strip at each step', () => {
    const { monitor, drawn, canvas } = setUp()
    run(monitor, 0, 10)
    drawn.length = 0
    run(monitor, 11, 11)
    const widths = drawn.filter(({ name }) => name === 'drawImage').map(({ args }) => args[3] as number)
    expect(widths.length).toBeGreaterThan(0)
    expect(Math.max(...widths)).toBeLessThan((canvas.width as number) / 10)
  })

  it('leaves no break between two steps, however far apart the samples stand', () => {
    const { monitor, sweep, drawn } = setUp()
    sweep.set({ ...DEFAULT_OPTIONS, width: 1000, height: 500, devicePixelRatio: 3 })
    run(monitor, 0, 10)
    drawn.length = 0
    run(monitor, 11, 12)
    // Of each step's clip and the strokes inside it: the first column, whose steps follow each other from left to right.
    const clips = drawn.flatMap(({ name, args }, at) => (name === 'rect' ? [{ left: args[0] as number, strokes: drawn.slice(at + 1) }] : []))
    const steps = clips.filter(({ left }) => left < 1500).map(({ left, strokes }) => {
      const end = strokes.findIndex(({ name }) => name === 'stroke')
      const xs = strokes.slice(0, end).filter(({ name }) => name === 'moveTo' || name === 'lineTo').map(({ args }) => args[0] as number)
      return { left, first: Math.min(...xs), last: Math.max(...xs) }
    })
    expect(steps.length).toBeGreaterThan(5)
    steps.slice(1).forEach(({ left, first }, step) => {
      expect(first).toBeLessThanOrEqual(left)
      expect(left).toBeLessThanOrEqual(steps[step]!.last)
    })
  })

  it('stands still while frozen and goes on afterwards', () => {
    const { monitor, sweep, drawn } = setUp()
    run(monitor, 0, 10)
    const head = sweep.head
    monitor.look('here')
    const drawnBefore = drawn.length
    run(monitor, 11, 20)
    expect(drawn.length).toBe(drawnBefore)
    expect(monitor.status(0).span?.pastMs).toBe(1_000_000 + (head ?? 0) * 10)
    monitor.look(null)
    run(monitor, 21, 21)
    expect(sweep.head).toBeGreaterThan(200)
  })

  it('looks back over what is kept while live goes on, and not further', () => {
    const { monitor, sweep, drawn } = setUp()
    const now = run(monitor, 0, 300)
    monitor.look('here')
    monitor.look(1_010_000)
    drawn.length = 0
    run(monitor, 301, 310)
    expect(drawn).toEqual([])
    expect(sweep.head).toBeGreaterThan(3080)
    expect(monitor.status(now).span).toMatchObject({ oldestMs: 1_000_000, pastMs: 1_010_000 })
    const traced = () => drawn.filter(({ name }) => name === 'lineTo').length
    monitor.look(0)
    const page = monitor.status(now).span!.pastMs! - 1_000_000
    expect(page).toBe(Math.floor(sweep.seconds * 100) * 10)
    expect(traced()).toBeGreaterThan(12 * 100)
    monitor.look(9_000_000)
    expect(monitor.status(now).span).toMatchObject({ pastMs: monitor.status(now).span!.headMs })
    monitor.look(null)
    drawn.length = 0
    run(monitor, 311, 312)
    expect(traced()).toBeGreaterThan(0)
  })

  it('paints what comes late in a burst a few times only, and not at all what nobody sees', () => {
    const { monitor, drawn } = setUp()
    const gap = Array.from({ length: 20 }, (_unused, index) => 150 + index)
    const now = run(monitor, 0, 200, [...gap, 5])
    drawn.length = 0
    const whole = () => drawn.filter(({ name, args }) => name === 'drawImage' && args.length === 3).length
    monitor.frame(frame(5, { backfill: true }), now)
    monitor.tick(now + 1)
    expect(whole()).toBe(0)
    for (const [index, sequence] of gap.entries()) {
      monitor.frame(frame(sequence, { backfill: true }), now)
      monitor.tick(now + 2 + index * 16)
    }
    expect(whole()).toBe(2)
    monitor.tick(now + 800)
    expect(whole()).toBe(3)
  })

  it('shows the ECG that is chosen, and knows all streams of the room', () => {
    const { monitor } = setUp()
    monitor.streamIs(streamInfo({ streamId: 'pleth', kind: 'pleth' }))
    monitor.streamIs(streamInfo({ streamId: 'stream-2', label: 'second' }))
    monitor.choose('stream-2')
    const status = monitor.status(0)
    expect(status.stream?.label).toBe('second')
    expect(status.streams.map(({ streamId, kind }) => `${streamId} ${kind}`)).toEqual(['stream-1 ecg', 'pleth pleth', 'stream-2 ecg'])
    for (let restart = 0; restart < 50; restart += 1) {
      monitor.streamIs(streamInfo({ streamId: `again-${restart}` }))
      monitor.streamEnded(`again-${restart}`)
    }
    expect(monitor.status(0).streams).toHaveLength(32)
  })

  it('says of a gap whether the record has it', () => {
    const ring = new SignalRing(streamInfo(), 60)
    ring.write(frame(0))
    ring.write(frame(1, { timeMs: 1_003_000 }))
    ring.write(frame(5, { timeMs: 1_003_500 }))
    expect([ring.skipped(10, 300), ring.skipped(310, 350), ring.skipped(350, 400)]).toEqual([false, true, false])
    expect([gapWords(3.24, null), gapWords(12.4, 'kept')]).toEqual([['3.2 s'], ['12 s kept', '12 s']])
  })

  it('marks beats behind the pen at once, once, and again when it paints anew', () => {
    const { monitor, sweep, drawn } = setUp()
    run(monitor, 0, 40)
    const analysis = (beats: number[]) => ({ streamId: 'stream-1', beats }) as Analysis
    const fills = () => drawn.filter(({ name }) => name === 'fill').length
    drawn.length = 0
    monitor.analysis(analysis([1_003.1, 1_003.6, 1_004.9]), 0)
    expect(fills()).toBe(4) // two columns; the third beat is ahead of the pen
    monitor.analysis(analysis([1_003.6]), 0)
    expect(fills()).toBe(4)
    sweep.repaint()
    expect(fills()).toBe(8)
    run(monitor, 41, 55)
    expect(fills()).toBe(10)
    monitor.look('here')
    expect(fills()).toBe(16)
    monitor.analysis({ ...analysis([1_003.2]), streamId: 'another' }, 0)
    expect(fills()).toBe(16)
  })

  it('gives a strip for print: millivolts as shown, nothing where nothing was', () => {
    const { monitor } = setUp()
    expect(monitor.strip()).toBeNull()
    run(monitor, 0, 150, [120])
    const strip = monitor.strip()!
    expect([strip.leads.length, strip.rateHz, strip.leads[1]!.label, strip.leads[0]!.millivolts.length]).toEqual([12, 100, 'II', 1000])
    const end = Math.round((strip.endMs - 1_000_000) / 10)
    const at = (index: number) => strip.leads[0]!.millivolts[index - (end - 1000)]
    expect(at(1195)).toBeCloseTo(1.195, 5)
    expect(at(1205)).toBeNaN()
    expect(at(end - 1)).toBeCloseTo((end - 1) / 1000, 5)
  })

  it('looks at the same moment of the session on devices whose clocks differ', () => {
    const { monitor } = setUp()
    monitor.clock({ streamId: 'stream-1', at: 1_000, offset: -2, driftPpm: 1_000_000 / 100 })
    run(monitor, 0, 20)
    expect(monitor.status(0).clockMs).toBeCloseTo(-2_000 + 0.01 * (monitor.status(0).span!.headMs - 1_000_000), 6)
  })

  it('takes in a frame that comes late by painting again', () => {
    const { monitor, sweep, drawn } = setUp()
    const now = run(monitor, 0, 20, [10])
    drawn.length = 0
    monitor.frame(frame(10, { backfill: true }), now)
    monitor.tick(now + 1)
    expect(drawn.some(({ name, args }) => name === 'drawImage' && args.length === 3)).toBe(true)
    expect(sweep.head).toBeGreaterThan(180)
  })

  it('says when nothing comes any more, and when the device stopped', () => {
    const { monitor } = setUp()
    expect(monitor.status(0).state).toBe('waiting')
    const now = run(monitor, 0, 5)
    expect(monitor.status(now + 2000).state).toBe('stalled')
    monitor.streamEnded('stream-1', { zh: '损坏', en: 'damaged' })
    expect(monitor.status(now + 2000)).toMatchObject({ state: 'ended', stream: { message: { en: 'damaged' } } })
    monitor.streamIs(streamInfo())
    expect(monitor.status(now + 2000)).toMatchObject({ state: 'stalled', stream: { message: null } })
  })

  it('shows the stream that lives, and leaves one that lives alone', () => {
    const { monitor } = setUp()
    monitor.streamIs(streamInfo({ streamId: 'stream-2' }))
    expect(monitor.status(0).stream?.streamId).toBe('stream-1')
    monitor.streamEnded('stream-1')
    expect(monitor.status(0).stream?.streamId).toBe('stream-2')
  })

  it('does not count delays while nobody can see the picture', () => {
    const { monitor } = setUp()
    run(monitor, 0, 20)
    const before = monitor.status(0).delays.length
    for (let sequence = 21; sequence < 40; sequence += 1) {
      monitor.frame(frame(sequence), 1_000_105 + sequence * 100)
      monitor.tick(1_000_110 + sequence * 100, true)
    }
    expect(monitor.status(0).delays.length).toBe(before)
  })
})
