import { defineStore } from 'pinia'
import { shallowReactive } from 'vue'
import { api, query } from '@/api/client'
import type { Action, Consultation, Page } from '@/api/types'

export type Scope = 'mine' | 'ringing' | 'open' | 'all'

/** What one list asks for at a time, and at most: the server lets nobody have more open. */
const PAGE = 100
const LIST_MOST = 200
/** Consultations kept in memory, more than the lists of a page hold; the least recently read go. */
const KEPT = 600

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

  /** Page by page, the newest first. */
  async function list(scope: Scope, states: readonly string[] = [], most = LIST_MOST): Promise<Consultation[]> {
    const found: Consultation[] = []
    let cursor: string | null = null
    do {
      const page: Page<Consultation> = await api.get(`/consultations${query({ scope, state: states.join(','), limit: Math.min(PAGE, most), cursor })}`)
      found.push(...page.items.map(take))
      cursor = page.nextCursor
    } while (cursor && found.length < most)
    return found
  }

  async function act(id: string, action: Action, options: ActOptions = {}): Promise<Consultation> {
    return take(await api.post<Consultation>(`/consultations/${encodeURIComponent(id)}/actions`, { action, ...options }))
  }

  return { byId, take, read, list, act }
})
