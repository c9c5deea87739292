/** The texts of choosing a password; few people see them. */
import { addTexts } from '@/i18n'
import en from './words/en.json'
import zh from './words/zh.json'

export const addPasswordTexts = (): void => addTexts('password', { zh, en })
