import { createPinia } from 'pinia'
import { createApp } from 'vue'
import './styles/tokens.css'
import './styles/base.css'
import App from './App.vue'
import { i18n, rememberedLanguage, showLanguage } from './i18n'
import { makeRouter } from './router'
import { applyTheme } from './stores/theme'

applyTheme()
const app = createApp(App).use(createPinia()).use(i18n)
// The session's request and the page's file travel while the language file does.
app.use(makeRouter())
void showLanguage(rememberedLanguage()).then(() => app.mount('#app'))
