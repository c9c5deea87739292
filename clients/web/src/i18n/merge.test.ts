import { describe, expect, it } from 'vitest'
import { merge, type Texts } from './merge'

const files = {
  zh: merge(import.meta.glob<Texts>('../*/{locales,words}/zh.json', { eager: true, import: 'default' })),
  en: merge(import.meta.glob<Texts>('../*/{locales,words}/en.json', { eager: true, import: 'default' })),
}

function keys(texts: Texts, prefix = ''): string[] {
  return Object.entries(texts).flatMap(([key, value]) => (typeof value === 'string' ? [prefix + key] : keys(value, `${prefix}${key}.`)))
}

function placeholders(texts: Texts, key: string): string[] {
  const text = key.split('.').reduce<string | Texts>((at, part) => (at as Texts)[part]!, texts) as string
  return [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!).sort()
}

describe('texts', () => {
  it('names a text by its feature', () => {
    expect(merge({ '../room/locales/zh.json': { leave: '离开' } })).toEqual({ room: { leave: '离开' } })
  })

  it('are there in both languages', () => {
    expect(keys(files.en).sort()).toEqual(keys(files.zh).sort())
  })

  it('use the same placeholders in both languages', () => {
    for (const key of keys(files.zh)) expect([key, placeholders(files.en, key)]).toEqual([key, placeholders(files.zh, key)])
  })
})
