import { defineStore } from 'pinia'
import { shallowReactive } from 'vue'
import { api, query } from '@/api/client'
import type { Action, Consultation, Page } from '@/api/types'

export type Scope = 'mine' | 'ringing' | 'open' | 'all'

/** What one list asks for: more than a screen, less than a download. */
const LIST_LIMIT = 50
/** Consultations kept in memory; the least recently read go. */
const KEPT = 100

export interface ActOptions { reason?: string; data?: Record<string, unknown> }

/** The consultations that this browser has read. Pages look here; what the server answers lands here. */
export const useConsultations = defineStore('consultations', () => {
  const byId = shallowReactive(new Map<string, Consultation>())

  /** An older answer that arrives late never replaces a newer one. */
  function take(consultation: Consultation): Consultation {
    const known = byId.get(consultation.id)
    if (known && known.version > consultation.version) return known
    byId.delete(consultation.id)
    byId.set(consultation.id, consultation)
    for (const id of byId.keys()) {
      if (byId.size <= KEPT) break
      byId.delete(id)
    }
    return consultation
  }

  const read = async (id: string): Promise<Consultation> => take(await api.get<Consultation>(`/consultations/${encodeURIComponent(id)}`))

  async function list(scope: Scope, state?: string): Promise<Consultation[]> {
    const page = await api.get<Page<Consultation>>(`/consultations${query({ scope, state, limit: LIST_LIMIT })}`)
    return page.items.map(take)
  }

  async function act(id: string, action: Action, options: ActOptions = {}): Promise<Consultation> {
    return take(await api.post<Consultation>(`/consultations/${encodeURIComponent(id)}/actions`, { action, ...options }))
  }

  return { byId, take, read, list, act }
})
