/** The texts of the ECG come with it: the room's first load does not wait for them. */
import { addTexts } from '@/i18n'
import en from './words/en.json'
import zh from './words/zh.json'

export const addEcgTexts = (): void => addTexts('ecg', { zh, en })
