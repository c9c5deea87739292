/** The texts of the escalation editor, which come with it. */
import { addTexts } from '@/i18n'
import en from './words/en.json'
import zh from './words/zh.json'

export const addEscalationTexts = (): void => addTexts('escalation', { zh, en })
