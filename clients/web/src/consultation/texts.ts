/** Texts of parts that stand on some consults' pages only: the first load of a room does not wait for them. */
import { addTexts } from '@/i18n'
import en from './words/en.json'
import zh from './words/zh.json'

export const addConsultationTexts = (): void => addTexts('consultation', { zh, en })
