import { showLanguage } from '@/i18n'

// Every test starts in Chinese, as the application does where nothing else is known.
await showLanguage('zh')
