import { merge } from './merge'

export default merge(import.meta.glob<Record<string, unknown>>('../*/locales/en.json', { eager: true, import: 'default' }))
