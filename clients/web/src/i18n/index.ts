import { createI18n } from 'vue-i18n'
import type { Text } from '@/api/types'
import type { Texts } from './merge'

export type Language = 'zh' | 'en'
export const LANGUAGES: readonly Language[] = ['zh', 'en']
const STORED = 'hz.language'

export const i18n = createI18n({
  legacy: false,
  locale: 'zh' as string,
  messages: {} as Record<string, Texts>,
})

/** The language in use; reactive when read inside a component or a computed value. */
export const language = (): Language => (i18n.global.locale.value === 'en' ? 'en' : 'zh')

const catalogues: Record<Language, () => Promise<{ default: Texts }>> = { zh: () => import('./zh'), en: () => import('./en') }

const loaded = new Set<Language>()

/** A language's texts come when it is shown: nobody loads the other one. */
export async function showLanguage(wanted: Language): Promise<void> {
  if (!loaded.has(wanted)) i18n.global.mergeLocaleMessage(wanted, (await catalogues[wanted]()).default)
  loaded.add(wanted)
  i18n.global.locale.value = wanted
  document.documentElement.lang = wanted === 'zh' ? 'zh-CN' : 'en'
}

/** Texts that come with a part of a page which nobody waits for; both languages, so that a change needs nothing more. */
export function addTexts(feature: string, texts: Record<Language, Texts>): void {
  for (const one of LANGUAGES) i18n.global.mergeLocaleMessage(one, { [feature]: texts[one] })
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
