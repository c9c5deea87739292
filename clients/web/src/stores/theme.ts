import { ref } from 'vue'

export type Theme = 'auto' | 'light' | 'dark'
const STORED = 'hz.theme'
const dark = typeof matchMedia === 'function' ? matchMedia('(prefers-color-scheme: dark)') : null

function remembered(): Theme {
  const value = localStorage.getItem(STORED)
  return value === 'light' || value === 'dark' ? value : 'auto'
}

export const theme = ref<Theme>(remembered())

/** Writes the theme to the document; `auto` follows the system, also when it changes later. */
export function applyTheme(): void {
  const shown = theme.value === 'auto' ? (dark?.matches ? 'dark' : 'light') : theme.value
  document.documentElement.dataset.theme = shown
}

export function setTheme(wanted: Theme): void {
  theme.value = wanted
  localStorage.setItem(STORED, wanted)
  applyTheme()
}

dark?.addEventListener('change', applyTheme)
