import { createI18n } from 'vue-i18n'
import type { Text } from '@/api/types'
import type { Texts } from './merge'
import zh from './zh'

export type Language = 'zh' | 'en'
export const LANGUAGES: readonly Language[] = ['zh', 'en']
const STORED = 'hz.language'

export const i18n = createI18n({
  legacy: false,
  locale: 'zh' as string,
  fallbackLocale: 'zh',
  messages: { zh } as Record<string, Texts>,
})

/** The language in use; reactive when read inside a component or a computed value. */
export const language = (): Language => (i18n.global.locale.value === 'en' ? 'en' : 'zh')

/** English comes when it is asked for; Chinese is in the first file. */
export async function showLanguage(wanted: Language): Promise<void> {
  if (wanted === 'en' && !i18n.global.availableLocales.includes('en')) {
    i18n.global.setLocaleMessage('en', (await import('./en')).default)
  }
  i18n.global.locale.value = wanted
  document.documentElement.lang = wanted === 'zh' ? 'zh-CN' : 'en'
}

/** Shows a language and remembers the choice. */
export async function setLanguage(wanted: Language): Promise<void> {
  localStorage.setItem(STORED, wanted)
  await showLanguage(wanted)
}

/** The language chosen before; else the browser's, where we have it; else Chinese. */
export function rememberedLanguage(): Language {
  const stored = localStorage.getItem(STORED)
  if (stored === 'zh' || stored === 'en') return stored
  return navigator.language.startsWith('en') ? 'en' : 'zh'
}

/** A text that the server gives in both languages, or already as one string. */
export function say(text: Text | null | undefined): string {
  if (!text) return ''
  return typeof text === 'string' ? text : text[language()] || text.zh
}
