import { defineStore } from 'pinia'
import { shallowRef } from 'vue'
import type { Picked } from '@/attach/files'
import type { RequestForm } from './form'

interface Kept { by: string; form: RequestForm; files: Picked[] }

/** A request that was begun and not sent, while its page is away: in memory alone, since the clinic's computer is everybody's. */
export const useKeptRequest = defineStore('keptRequest', () => {
  const kept = shallowRef<Kept | null>(null)

  function keep(by: string, form: RequestForm, files: Picked[]): void {
    kept.value = { by, form: { ...form }, files }
  }

  /** Gives it back, once; nobody gets another one's. */
  function take(by: string): Kept | null {
    const found = kept.value
    kept.value = null
    return found?.by === by ? found : null
  }

  return { keep, take }
})

/** Whether somebody has begun: what a page opens with is nothing yet. */
export const isBegun = (form: RequestForm, files: readonly Picked[]): boolean => (
  form.patient !== null || form.specialty !== '' || form.purpose.trim() !== '' || form.summary.trim() !== '' || files.length > 0
)
