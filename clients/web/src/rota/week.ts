import type { OnCall, PractitionerRef } from '@/api/types'

/** Who is rung first for a specialty; null is a gap: no rota of it has anybody. */
export function firstOf(rota: readonly OnCall[], specialty: string): PractitionerRef | null {
  return rota.filter((entry) => entry.specialty === specialty).flatMap((entry) => entry.practitioners)[0] ?? null
}
