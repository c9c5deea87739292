import { defineStore } from 'pinia'
import { shallowRef } from 'vue'
import { api } from '@/api/client'
import type { Page, Specialty } from '@/api/types'
import { say } from '@/i18n'

/** Some lists come in pages, some whole. */
export const itemsOf = <T>(reply: T[] | Page<T>): T[] => (Array.isArray(reply) ? reply : reply.items)

/** Lists that hardly change: read once a session. */
export const useReference = defineStore('reference', () => {
  const specialties = shallowRef<Specialty[]>([])

  async function load(): Promise<void> {
    if (specialties.value.length === 0) specialties.value = itemsOf(await api.get<Specialty[] | Page<Specialty>>('/specialties'))
  }

  const specialtyName = (code: string): string => say(specialties.value.find((specialty) => specialty.code === code)?.name) || code

  return { specialties, load, specialtyName }
})
