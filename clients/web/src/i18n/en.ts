import { merge, type Texts } from './merge'

export default merge(import.meta.glob<Texts>('../*/locales/en.json', { eager: true, import: 'default' }))
