/** The texts of this page, which come with it. */
import { addTexts } from '@/i18n'
import en from './words/en.json'
import zh from './words/zh.json'

export const addOversightTexts = (): void => addTexts('oversight', { zh, en })
