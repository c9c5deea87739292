/** Texts of what is laid beside a request; they come with it. */
import { addTexts } from '@/i18n'
import en from './words/en.json'
import zh from './words/zh.json'

export const addAttachTexts = (): void => addTexts('attach', { zh, en })
