import { mount } from '@vue/test-utils'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { i18n } from '@/i18n'
import en from '@/i18n/en'
import type { PeerQuality, RoomSnapshot, Verdict } from '@/protocol'
import { pictureWord, pillGrade, qualityRows, voiceWord } from './quality'
import QualityDialog from './QualityDialog.vue'

const good: Verdict = { grade: 'good', cause: 'none', lossPercent: 0, uplinkPercent: 0, roundTripMs: 40 }

function told(peerId: string, code: PeerQuality['cause']['code'], values = {}, mos: number | null = 4.3, score: number | null = 4.6): PeerQuality {
  return { peerId, audio: mos === null ? null : { mos }, video: score === null ? null : { score }, cause: { code, values } }
}

function snapshot(quality: PeerQuality[], change: Partial<RoomSnapshot> = {}): RoomSnapshot {
  return {
    phase: 'joined', path: 'up', peerId: 'me', role: 'requester', tracks: [], local: [], chat: [], startedAt: null, speaker: null, quality,
    peers: [{ id: 'g', displayName: '家属', role: 'guest', producers: [] }, { id: 'e', displayName: '王建国', role: 'expert', producers: [] }],
    grants: { publish: [], subscribe: true, chat: true, chair: false, record: false, signals: [] },
    recording: { state: 'off', startedAt: null, recordingId: null }, ...change,
  }
}

describe('words for scores', () => {
  it('follow the bounds of G.107 and of five grades', () => {
    expect([4.4, 4, 3.7, 3.2, 2].map(voiceWord)).toEqual(['good', 'good', 'fair', 'poor', 'bad'])
    expect([5, 3.9, 2.5, 1].map(pictureWord)).toEqual(['good', 'fair', 'poor', 'bad'])
  })
})

describe('qualityRows', () => {
  it('has ourselves first, then the others by role, with what the server said', () => {
    const rows = qualityRows(snapshot([told('e', 'downlink_slow', { kbps: 300, paused: 1, reduced: 1 })]), '李秀兰', good)
    expect(rows.map(({ peerId, code }) => `${peerId} ${code}`)).toEqual(['me good', 'e downlink_slow', 'g unknown'])
  })

  it('uses what was measured here until the server has a complaint', () => {
    const lossy: Verdict = { ...good, grade: 'poor', cause: 'uplink_loss', uplinkPercent: 12 }
    expect(qualityRows(snapshot([told('me', 'good')]), '', lossy)[0]).toMatchObject({ code: 'uplink_loss', values: { percent: 12 } })
    expect(qualityRows(snapshot([told('me', 'server_busy', { lateMs: 200 })]), '', lossy)[0]?.code).toBe('server_busy')
    expect(qualityRows(snapshot([]), '', { ...good, grade: 'unknown', cause: 'measuring' })[0]?.code).toBe('unknown')
  })
})

describe('pillGrade', () => {
  it.each([
    [snapshot([]), good, 'good'],
    [snapshot([told('me', 'uplink_loss', {}, 3.7)]), good, 'fair'],
    [snapshot([told('me', 'downlink_slow', {}, 4.3, 1.5)]), good, 'poor'],
    [snapshot([told('e', 'uplink_loss', {}, 2)]), good, 'good'],
    [snapshot([]), { ...good, grade: 'unknown' }, 'unknown'],
    [snapshot([], { phase: 'reconnecting' }), good, 'lost'],
    [snapshot([], { path: 'lost' }), good, 'lost'],
  ] as const)('%#', (now, own, expected) => {
    expect(pillGrade(now, own as Verdict)).toBe(expected)
  })
})

describe('QualityDialog', () => {
  beforeAll(() => { i18n.global.setLocaleMessage('en', en) })
  beforeEach(() => { i18n.global.locale.value = 'zh' })
  const open = (quality: PeerQuality[], verdict = good, change: Partial<RoomSnapshot> = {}) =>
    mount(QualityDialog, { props: { snapshot: snapshot(quality, change), selfName: '李秀兰', verdict }, global: { plugins: [i18n] }, attachTo: document.body })

  it('says whose line it is, with a word, a figure and a way on', () => {
    const wrapper = open([told('me', 'uplink_loss', { percent: 8 }, 3.3), told('e', 'downlink_slow', { kbps: 300, paused: 1, reduced: 2 })])
    const text = (peer: string) => wrapper.get(`[data-peer=${peer}]`).text()
    expect(text('me')).toContain('您的上行丢包 8%')
    expect(text('me')).toContain('先关掉摄像头')
    expect(text('me')).toMatch(/声音\s*较差\s*3\.3/)
    expect(text('e')).toContain('上级医生 王建国 的下行较慢')
    expect(text('e')).not.toContain('路由器')
    expect(text('g')).toContain('正在检测')
    wrapper.unmount()
  })

  it('speaks English', () => {
    i18n.global.locale.value = 'en'
    const wrapper = open([told('me', 'uplink_loss', { percent: 8 }), told('e', 'downlink_slow', { kbps: 300, paused: 1, reduced: 2 }), told('g', 'server_busy', { lateMs: 90 })])
    expect(wrapper.text()).toContain('Your uplink loses 8 %')
    expect(wrapper.text()).toContain('The expert\'s (王建国) downlink is slow')
    expect(wrapper.text()).toContain('The server is busy')
    wrapper.unmount()
  })

  it.each(['zh', 'en'] as const)('has a sentence for every cause in %s', (language) => {
    i18n.global.locale.value = language
    const codes = ['good', 'no_media', 'server_busy', 'uplink_loss', 'downlink_loss', 'downlink_slow', 'uplink_slow', 'round_trip'] as const
    for (const code of codes) {
      const wrapper = open([told('me', code, { percent: 1, tracks: 1, lateMs: 1, kbps: 1, paused: 1, reduced: 1, layersMissing: 1, ms: 1 })])
      expect(wrapper.get(code === 'server_busy' ? '[data-testid=quality-busy]' : '[data-peer=me] p').text(), code).not.toMatch(/room\.|[{}]/)
      wrapper.unmount()
    }
  })

  it('lists what was given up', () => {
    const track = { kind: 'video' } as MediaStreamTrack
    const wrapper = open([], good, {
      tracks: [{ consumerId: 'k', producerId: 'p', peerId: 'e', source: 'camera', kind: 'video', track, paused: false, spatialLayer: null, share: 'paused', stills: false }],
    })
    expect(wrapper.get('[data-testid=quality-given]').text()).toMatch(/王建国\s*画面暂停/)
    wrapper.unmount()
  })
})
