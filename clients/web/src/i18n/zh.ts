import { merge } from './merge'

export default merge(import.meta.glob<Record<string, unknown>>('../*/locales/zh.json', { eager: true, import: 'default' }))
