import type { Kind } from './types'

/** How fast a kind goes, as the server's table has it: guidance at the speed of a diagnostic read, what can be planned like a routine consult. */
export type Pace = 'urgent' | 'diagnostic' | 'routine'
const PACES: readonly Pace[] = ['urgent', 'diagnostic', 'routine']

export const paceOf = (kind: Kind): Pace => (kind === 'urgent' ? 'urgent' : kind === 'diagnostic' || kind === 'guidance' ? 'diagnostic' : 'routine')
/** 0 is the most urgent. */
export const urgencyOf = (kind: Kind): number => PACES.indexOf(paceOf(kind))
