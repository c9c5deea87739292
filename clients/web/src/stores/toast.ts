import { defineStore } from 'pinia'
import { ref } from 'vue'

export interface Toast { id: number; text: string; tone: 'info' | 'ok' | 'danger'; link?: { to: string; text: string } }

/** More than this at once is noise: the oldest goes. */
const SHOWN = 4
const STAYS_MS = 8_000

export const useToasts = defineStore('toasts', () => {
  const toasts = ref<Toast[]>([])
  let last = 0

  function dismiss(id: number): void {
    toasts.value = toasts.value.filter((toast) => toast.id !== id)
  }

  /** `stays`: until it is closed by hand. */
  function show(text: string, tone: Toast['tone'] = 'info', link?: Toast['link'], stays = false): void {
    const id = ++last
    toasts.value = [...toasts.value.slice(1 - SHOWN), { id, text, tone, link }]
    if (!stays) setTimeout(() => dismiss(id), STAYS_MS)
  }

  return { toasts, show, dismiss }
})
