import { createI18n, type LocaleMessage } from 'vue-i18n'
import type { Text } from '@/api/types'
import zh from './zh'

export type Language = 'zh' | 'en'
export const LANGUAGES: readonly Language[] = ['zh', 'en']
const STORED = 'hz.language'

type Catalogue = Record<string, LocaleMessage>

export const i18n = createI18n<false>({
  legacy: false,
  locale: 'zh',
  fallbackLocale: 'zh',
  messages: { zh } as Catalogue,
})

/** The language in use; reactive when read inside a component or a computed value. */
export const language = (): Language => (i18n.global.locale.value === 'en' ? 'en' : 'zh')

/** English comes when it is asked for; Chinese is in the first file. */
export async function setLanguage(wanted: Language): Promise<void> {
  if (wanted === 'en' && !i18n.global.availableLocales.includes('en')) {
    i18n.global.setLocaleMessage('en', (await import('./en')).default as LocaleMessage)
  }
  i18n.global.locale.value = wanted
  document.documentElement.lang = wanted === 'zh' ? 'zh-CN' : 'en'
  localStorage.setItem(STORED, wanted)
}

export function rememberedLanguage(): Language {
  return localStorage.getItem(STORED) === 'en' ? 'en' : 'zh'
}

/** A text that the server gives in both languages, or already as one string. */
export function say(text: Text | null | undefined): string {
  if (!text) return ''
  return typeof text === 'string' ? text : text[language()] || text.zh
}
