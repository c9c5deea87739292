import type { OnCall, PractitionerRef } from '@/api/types'

export interface Duty {
  specialty: string
  /** 0 = rung first; 1, 2 … = stands behind so many. */
  place: number
  before: PractitionerRef | null
  behind: PractitionerRef | null
  until: string | null
}

/** Where a practitioner stands in the rotas that run now, foremost first. */
export function dutiesOf(rota: readonly OnCall[], practitionerId: string): Duty[] {
  return rota.flatMap((entry) => {
    const place = entry.practitioners.findIndex((practitioner) => practitioner.id === practitionerId)
    if (place < 0) return []
    return [{ specialty: entry.specialty, place, before: entry.practitioners[place - 1] ?? null, behind: entry.practitioners[place + 1] ?? null, until: entry.until }]
  }).sort((a, b) => a.place - b.place)
}
