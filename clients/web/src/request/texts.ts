/** Texts that only this page needs: the first load of a room does not wait for them. */
import { addTexts } from '@/i18n'
import en from './words/en.json'
import zh from './words/zh.json'

export const addRequestTexts = (): void => addTexts('request', { zh, en })
