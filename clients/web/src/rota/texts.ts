/** The texts of the rota, which come with its pages: the first load of a room does not wait for them. */
import { addTexts } from '@/i18n'
import en from './words/en.json'
import zh from './words/zh.json'

export const addRotaTexts = (): void => addTexts('rota', { zh, en })
