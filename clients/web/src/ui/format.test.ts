import { afterEach, describe, expect, it, vi } from 'vitest'
import { setLanguage } from '@/i18n'
import { expert } from '@/testing/fixtures'
import { ZONE, clock, nameOf, relative, span, titledName } from './format'

const NOW = Date.parse('2026-01-01T12:00:00Z')

describe('words for times and people', () => {
  afterEach(() => setLanguage('zh'))

  it.each([[30, '刚刚'], [-30, '马上'], [180, '3分钟前'], [7200, '2小时前'], [200_000, '2天前'], [-300, '5分钟后']])('%d s ago is %s', (seconds, text) => {
    expect(relative(NOW - seconds * 1000, NOW)).toBe(text)
  })

  it('shows the time of the clinics that the page names, or of those in China', async () => {
    expect([ZONE, clock(NOW, NOW), clock(NOW - 86_400_000, NOW)]).toEqual(['Asia/Shanghai', expect.stringContaining('20:00'), expect.stringContaining('12月31日')])
    document.documentElement.dataset.zone = 'Asia/Urumqi'
    vi.resetModules()
    const west = await import('./format')
    delete document.documentElement.dataset.zone
    expect(west.clock(NOW, NOW)).toContain('18:00')
    expect(west.exact(NOW)).toContain('18:00:00')
    // Midnight is the clinics': at 17:30 in Greenwich it is half past eleven there and tomorrow in Shanghai.
    const late = Date.parse('2026-01-01T17:30:00Z')
    expect([clock(late, NOW), west.clock(late, NOW)]).toEqual([expect.stringContaining('1月2日'), expect.not.stringContaining('月')])
  })

  it('speaks English when asked to', async () => {
    await setLanguage('en')
    expect(relative(NOW - 180_000, NOW)).toBe('3 minutes ago')
    expect(titledName(expert)).toBe('Wang Jianguo, Chief physician')
  })

  it('names people in Chinese, and in Chinese too where no English is known', async () => {
    expect(titledName(expert)).toBe('王建国 主任医师')
    await setLanguage('en')
    expect(nameOf({ name: '张三' })).toBe('张三')
    expect(nameOf(null)).toBe('')
  })

  it.each([[7_000, '0:07'], [750_000, '12:30'], [11_100_000, '3:05:00'], [-5, '0:00']])('%d ms last %s', (ms, text) => expect(span(ms)).toBe(text))
})
