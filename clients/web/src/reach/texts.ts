/** The texts of being reached; they come with its pages. */
import { addTexts } from '@/i18n'
import en from './words/en.json'
import zh from './words/zh.json'

export const addReachTexts = (): void => addTexts('reach', { zh, en })
