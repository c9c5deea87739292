import { afterEach, describe, expect, it } from 'vitest'
import { setLanguage } from '@/i18n'
import { expert } from '@/testing/fixtures'
import { nameOf, relative, span, titledName } from './format'

const NOW = Date.parse('2026-01-01T12:00:00Z')

describe('words for times and people', () => {
  afterEach(() => setLanguage('zh'))

  it.each([[30, '刚刚'], [-30, '马上'], [180, '3分钟前'], [7200, '2小时前'], [200_000, '2天前'], [-300, '5分钟后']])('%d s ago is %s', (seconds, text) => {
    expect(relative(NOW - seconds * 1000, NOW)).toBe(text)
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
