/** The texts of this page, which come with it: the first load of a room does not wait for them. */
import { addTexts } from '@/i18n'
import en from './words/en.json'
import zh from './words/zh.json'

export const addConnectivityTexts = (): void => addTexts('connectivity', { zh, en })
