import { mount } from '@vue/test-utils'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { nextTick } from 'vue'
import { ApiError } from '@/api/client'
import { i18n } from '@/i18n'
import en from '@/i18n/en'
import { RoomError } from '@/protocol'
import ChatPanel from './ChatPanel.vue'
import ControlBar from './ControlBar.vue'
import { startMeasuring } from './measure'
import RoomEnd from './RoomEnd.vue'
import RoomNotice from './RoomNotice.vue'
import SplitHandle from './SplitHandle.vue'
import Tile from './Tile.vue'
import type { TileModel } from './tiles'

const global = { plugins: [i18n], stubs: { RouterLink: true } }
beforeAll(() => { i18n.global.setLocaleMessage('en', en) })

const tile: TileModel = {
  key: 'g:camera', peerId: 'g', source: 'camera', name: '家属张伟', role: 'guest', self: false, video: null, audio: null, videoPaused: true, muted: true, share: 'full', stills: false, consumerId: null,
}

describe('Tile', () => {
  it('lets the chair send a guest away, and nobody else', async () => {
    const wrapper = mount(Tile, { props: { tile, chair: true, unlock: 0 }, global })
    expect(wrapper.attributes()).toMatchObject({ 'data-testid': 'tile', 'data-peer': 'g', 'data-source': 'camera' })
    await wrapper.get('[data-testid=peer-remove]').trigger('click')
    expect(wrapper.emitted('remove')).toHaveLength(1)
    await wrapper.setProps({ chair: false })
    expect(wrapper.find('[data-testid=peer-remove]').exists()).toBe(false)
    await wrapper.setProps({ chair: true, tile: { ...tile, role: 'requester' } })
    expect(wrapper.find('[data-testid=peer-remove]').exists()).toBe(false)
  })

  it('says why there is no picture', async () => {
    const video = { kind: 'video' } as MediaStreamTrack
    const wrapper = mount(Tile, { props: { tile, stage: true, unlock: 0 }, global })
    expect(wrapper.text()).toContain('摄像头已关')
    const told = async (change: Partial<TileModel>) => {
      await wrapper.setProps({ tile: { ...tile, video, videoPaused: false, ...change } }).catch(() => undefined)
      return wrapper.get('[data-testid=tile-share]').text()
    }
    expect(await told({ share: 'paused' })).toContain('优先保证声音和心电图')
    expect(await told({ share: 'paused', source: 'ultrasound' })).toContain('恢复后自动继续')
    expect(await told({ share: 'reduced' })).toBe('线路较慢，画面已降低')
    expect(await told({ share: 'reduced', stills: true, source: 'ultrasound' })).toContain('隔几秒')
    expect(wrapper.attributes('data-share')).toBe('reduced')
    expect(await told({ share: 'full' })).toBe('')
  })
})

describe('ChatPanel', () => {
  it('sends what was written and keeps it when that failed', async () => {
    const send = vi.fn<(text: string) => Promise<boolean>>().mockResolvedValueOnce(false).mockResolvedValueOnce(true)
    const wrapper = mount(ChatPanel, { props: { messages: [], self: 'me', allowed: true, send }, global })
    const input = wrapper.get<HTMLInputElement>('[data-testid=chat-input]')
    await input.setValue('  往左一点 ')
    await wrapper.get('form').trigger('submit')
    expect(send).toHaveBeenCalledWith('往左一点')
    await vi.waitFor(() => expect(wrapper.get('[data-testid=chat-send]').attributes('disabled')).toBeUndefined())
    expect(input.element.value).toContain('往左一点')
    await wrapper.get('form').trigger('submit')
    await vi.waitFor(() => expect(input.element.value).toBe(''))
  })

  it('shows text as text', () => {
    const messages = [{ id: 'm', from: 'p', displayName: 'x', text: '<img src=x onerror=alert(1)>', at: 1_767_225_600 }]
    const wrapper = mount(ChatPanel, { props: { messages, self: 'me', allowed: false, send: () => Promise.resolve(true) }, global })
    expect(wrapper.get('[data-testid=chat-message] p').text()).toBe('<img src=x onerror=alert(1)>')
    expect(wrapper.find('form').exists()).toBe(false)
  })
})

describe('ControlBar', () => {
  it('tells the state of toggles and their keys', async () => {
    const controls = [{ id: 'microphone', icon: 'microphone' as const, label: '麦克风', pressed: false, key: 'M', testid: 'toggle-mic' }]
    const wrapper = mount(ControlBar, { props: { controls }, global })
    const button = wrapper.get('[data-testid=toggle-mic]')
    expect(button.attributes()).toMatchObject({ 'aria-pressed': 'false', 'aria-keyshortcuts': 'M' })
    await button.trigger('click')
    expect(wrapper.emitted('use')).toEqual([['microphone']])
  })
})

describe('RoomNotice', () => {
  it.each([
    [RoomError.local('media_denied'), 'media_denied', 'browser', '没有得到使用摄像头'],
    [new ApiError(403, 'not_granted', { zh: '没有权限', en: 'no' }), 'not_granted', 'peer', '没有权限'],
    [new TypeError('x'), 'internal', 'browser', '请刷新'],
  ])('%o', (error, code, blame, text) => {
    const wrapper = mount(RoomNotice, { props: { error }, global })
    expect(wrapper.attributes()).toMatchObject({ 'data-testid': 'error', 'data-code': code, 'data-blame': blame })
    expect(wrapper.text()).toContain(text)
  })

  it('speaks English', async () => {
    i18n.global.locale.value = 'en'
    const wrapper = mount(RoomNotice, { props: { error: RoomError.local('media_busy') }, global })
    expect(wrapper.text()).toContain('Another program is using the camera')
    i18n.global.locale.value = 'zh'
    await nextTick()
    expect(wrapper.text()).toContain('占用')
  })
})

describe('RoomEnd', () => {
  it.each([
    ['removed', true, false],
    ['token_ended', true, false],
    ['replaced', true, true],
    ['room_closed', false, false],
    ['left', false, true],
  ] as const)('%s', (reason, isError, mayReturn) => {
    const wrapper = mount(RoomEnd, { props: { reason, error: null }, global })
    expect(wrapper.find('[data-testid=error]').exists()).toBe(isError)
    expect(wrapper.find('[data-testid=room-again]').exists()).toBe(mayReturn)
  })
})

describe('SplitHandle', () => {
  it('moves by keys within its bounds', async () => {
    const wrapper = mount(SplitHandle, { props: { modelValue: 78, 'onUpdate:modelValue': (value: number) => wrapper.setProps({ modelValue: value }) }, global })
    await wrapper.trigger('keydown', { key: 'ArrowUp' })
    expect(wrapper.attributes('aria-valuenow')).toBe('80')
    await wrapper.trigger('keydown', { key: 'Home' })
    expect(wrapper.attributes('aria-valuenow')).toBe('15')
  })
})

describe('startMeasuring', () => {
  it('keeps the first time of each mark and gives figures by consumer', async () => {
    const target = {} as Window
    const measuring = startMeasuring(12, target)
    measuring.mark('joined')
    const first = target.__huizhen!.marks.joined
    measuring.mark('joined')
    expect(target.__huizhen!.marks).toEqual({ script: 12, joined: first })
    expect(target.__huizhen!.ecg()).toEqual({ samplesDrawn: 0, lastSequence: -1, delays: [], gaps: 0, stoppedMs: 0, stops: 0, state: 'waiting', frames: [], drawing: [] })
    measuring.stats(() => Promise.resolve([{ consumerId: 'k1', framesDecoded: 3 } as never]))
    expect((await target.__huizhen!.stats()).consumers.k1?.framesDecoded).toBe(3)
    for (const state of ['paused', 'full'] as const) {
      measuring.reduced({ consumerId: 'k1', reason: 'bandwidth', state, spatialLayer: null, temporalLayer: null, source: 'camera' })
    }
    expect(target.__huizhen!.reduced.map(({ state, source }) => `${source} ${state}`)).toEqual(['camera paused', 'camera full'])
  })
})

describe('words', () => {
  const flat = (texts: object, path = ''): string[] =>
    Object.entries(texts).flatMap(([key, value]) => (typeof value === 'string' ? [`${path}${key}`] : flat(value as object, `${path}${key}.`)))
  it.each(['room', 'consultation'])('%s has the same keys in both languages', (feature) => {
    const zh = i18n.global.getLocaleMessage('zh') as Record<string, object>
    expect(flat((en as Record<string, object>)[feature]!).sort()).toEqual(flat(zh[feature]!).sort())
  })
})
