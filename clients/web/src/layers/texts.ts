/** The texts of the editors of layers and holidays, which come with them. */
import { addTexts } from '@/i18n'
import en from './words/en.json'
import zh from './words/zh.json'

export const addLayersTexts = (): void => addTexts('layers', { zh, en })
