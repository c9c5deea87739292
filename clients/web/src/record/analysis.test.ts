import { describe, expect, it } from 'vitest'
import { mountPage } from '@/testing/mount'
import { poorStretches, ratePath, rateScale, servingPercent, type RecordedAlarm, type Review } from './analysis'
import { addRecordTexts } from './texts'
import { chaptersOf, type Recording } from './timeline'
import TrendLine from './TrendLine.vue'

addRecordTexts()
const points: Review['points'] = [
  [1000, null, 'good'], [2000, 72, 'good'], [3000, 74, 'good'], [4000, null, 'poor'], [5000, null, 'poor'], [6000, 150, 'fair'], [20_000, 90, 'good'],
]
const alarm = (id: string, atMs: number, severity: RecordedAlarm['severity'] = 'medium'): RecordedAlarm => ({
  id, kind: 'tachycardia', category: 'physiological', severity, atMs, endedMs: null, message: { zh: '心率 150 次/分', en: 'Heart rate 150/min' },
})

describe('heart rate over the recording', () => {
  it('has a scale that keeps a steady rhythm flat', () => {
    expect(rateScale(points)).toEqual({ low: 70, high: 150 })
    expect(rateScale([[1000, 72, 'good']])).toEqual({ low: 50, high: 100 })
    expect(rateScale([[1000, null, 'poor']])).toBeNull()
  })

  it('breaks where there is no rate and where nothing was measured', () => {
    const path = ratePath(points, { low: 50, high: 150 }, 20_000)
    expect(path).toBe('M100 78.0L150 76.0M300 0.0M1000 60.0')
  })

  it('keeps the highest and lowest of what falls on one step', () => {
    const many: Review['points'] = Array.from({ length: 4000 }, (_unused, second) => [second * 1000, second === 1001 ? 200 : 70, 'good'])
    const path = ratePath(many, { low: 50, high: 200 }, 4_000_000)
    expect(path.split('L').length).toBeLessThan(2010)
    expect(path).toContain('250 0.0')
  })

  it('marks what is not good, and how much serves', () => {
    expect(poorStretches(points)).toEqual([{ quality: 'poor', fromMs: 3000, toMs: 5000 }, { quality: 'fair', fromMs: 5000, toMs: 6000 }])
    expect(servingPercent(points)).toBe(71)
    expect(servingPercent([])).toBe(0)
  })
})

describe('chapters of alarms', () => {
  const recording = (alarms: RecordedAlarm[]): Recording => ({
    id: 'r', startedAt: '', endedAt: '', durationMs: 600_000, tracks: [],
    signals: [{ streamId: 's', kind: 'ecg', label: '', samplingRateHz: 500, leads: [], startMs: 0, endMs: 600_000, url: '', partUrl: '', overviewUrl: '', alarms }],
  })

  it('jump to a little before each', () => {
    const chapters = chaptersOf(recording([alarm('a', 30_000), alarm('b', 1_000)]))
    expect(chapters.filter(({ kind }) => kind === 'alarm').map(({ atMs }) => atMs)).toEqual([0, 25_000])
  })

  it('keep the worst when there are many', () => {
    const many = [...Array.from({ length: 100 }, (_unused, n) => alarm(`m${n}`, n * 1000, 'low')), alarm('worst', 500_000, 'high')]
    const kept = chaptersOf(recording(many)).filter(({ kind }) => kind === 'alarm')
    expect(kept).toHaveLength(24)
    expect(kept.some((chapter) => chapter.alarm?.id === 'worst')).toBe(true)
  })
})

describe('TrendLine', () => {
  const signal = { streamId: 's', kind: 'ecg', label: 'ECG', samplingRateHz: 500, leads: [], startMs: 0, endMs: 20_000, url: '', partUrl: '', overviewUrl: '', analysisUrl: '/a', alarms: [alarm('a', 6000)] }

  it('shows rate and quality, tells the beats, and seeks', async () => {
    const review: Review = { beatsMs: [500, 1300], points, complete: true }
    globalThis.fetch = (() => Promise.resolve(new Response(JSON.stringify(review)))) as typeof fetch
    const { wrapper } = await mountPage(TrendLine, { signal, position: 1500, durationMs: 20_000 })
    await expect.poll(() => wrapper.attributes('data-state')).toBe('ready')
    expect(wrapper.emitted('beats')).toEqual([[[500, 1300]]])
    expect(wrapper.get('[data-testid=record-rate]').text()).toBe('72')
    expect(wrapper.get('.field').attributes('aria-label')).toContain('72')
    expect(wrapper.findAll('.alarm')).toHaveLength(1)
    expect(wrapper.findAll('.stretch')).toHaveLength(2)
  })

  it('says when it cannot be had, and asks again', async () => {
    globalThis.fetch = (() => Promise.resolve(new Response('', { status: 503 }))) as typeof fetch
    const { wrapper } = await mountPage(TrendLine, { signal, position: 0, durationMs: 20_000 })
    await expect.poll(() => wrapper.attributes('data-state')).toBe('failed')
    globalThis.fetch = (() => Promise.resolve(new Response(JSON.stringify({ beatsMs: [], points: [], complete: false })))) as typeof fetch
    await wrapper.get('button').trigger('click')
    await expect.poll(() => wrapper.attributes('data-state')).toBe('ready')
    expect(wrapper.text()).toContain('2')
  })
})
