/** The texts of maintaining places and people; they come with these pages. */
import { addTexts } from '@/i18n'
import en from './words/en.json'
import zh from './words/zh.json'

export const addPeopleTexts = (): void => addTexts('people', { zh, en })
