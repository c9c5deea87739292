import { defineStore } from 'pinia'
import { computed, ref } from 'vue'
import type { RingEnd, RingEndedPush, RingPush } from '@/api/events'
import { serverNow } from '@/api/time'
import { urgencyOf } from '@/api/pace'
import type { PractitionerRef, Text } from '@/api/types'

export type Who = PractitionerRef | Text
export interface Ring extends RingPush {
  ended: { reason: RingEnd; by: Who | null } | null
  /** Put aside to be answered later: it waits on the home page. */
  aside: boolean
}

/** How long "somebody else took it" stays to be read. */
export const FAREWELL_MS = 6_000
/** More rings than this on one screen cannot be read; the server rings an expert for few at a time. */
const SHOWN = 5
/** A ring whose end was never told (the line was down) is dropped so long after its limit. */
const GRACE_MS = 5_000

/** What rings for this expert now. Pure bookkeeping: sound and screen look at it. */
export const useRings = defineStore('rings', () => {
  const rings = ref<Ring[]>([])

  const shown = computed(() => rings.value.filter((ring) => !ring.aside)
    .sort((a, b) => urgencyOf(a.kind) - urgencyOf(b.kind) || a.offeredAt.localeCompare(b.offeredAt))
    .slice(0, SHOWN))
  const sounding = computed(() => shown.value.find((ring) => !ring.ended) ?? null)

  function drop(offerId: string): void {
    rings.value = rings.value.filter((ring) => ring.offerId !== offerId)
  }

  /** The server repeats running rings after every reconnect: the same offer is one ring. */
  function add(push: RingPush): void {
    if (rings.value.some((ring) => ring.offerId === push.offerId && !ring.ended)) return
    drop(push.offerId)
    rings.value.push({ ...push, ended: null, aside: false })
  }

  function putAside(offerId: string): void {
    const ring = rings.value.find((known) => known.offerId === offerId)
    if (ring) ring.aside = true
  }

  function end(push: Omit<RingEndedPush, 'consultationId'>): void {
    const ring = rings.value.find((known) => known.offerId === push.offerId)
    if (!ring || ring.ended) return
    if (push.reason === 'declined' || ring.aside) {
      drop(push.offerId)
      return
    }
    ring.ended = { reason: push.reason, by: push.by ?? null }
    setTimeout(() => drop(push.offerId), FAREWELL_MS)
  }

  /** Ends what has passed its limit without a word from the server. */
  function expire(now = serverNow()): void {
    for (const ring of rings.value) {
      if (!ring.ended && ring.expiresAt && Date.parse(ring.expiresAt) + GRACE_MS < now) end({ offerId: ring.offerId, reason: 'timed_out' })
    }
  }

  /**
   * Drops what rings no more by the server's word: a server that died over an accept told nobody that the ring ended.
   * What comes while the question is under way is newer than the answer.
   */
  async function confirm(running: () => Promise<{ id: string }[]>): Promise<void> {
    const before = rings.value.filter((ring) => !ring.ended)
    if (!before.length) return
    const still = new Set((await running()).map((consultation) => consultation.id))
    for (const ring of before) if (!ring.ended && !still.has(ring.consultationId)) drop(ring.offerId)
  }

  return { rings, shown, sounding, add, end, drop, expire, confirm, putAside }
})
