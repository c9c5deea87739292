/** What the quality page says of each participant: words for scores, and the sentence of the cause. Pure. */
import type { Grade, RoomSnapshot, Verdict } from '@/protocol'
import { byRole } from './tiles'

export type Word = 'good' | 'fair' | 'poor' | 'bad'

/** ITU-T G.107 Annex B: 4.03 is where users are satisfied, 3.6 some are not, 3.1 many are not. */
const VOICE: [number, Word][] = [[4, 'good'], [3.6, 'fair'], [3.1, 'poor']]
/** The usual five grades of ITU-R BT.500. */
const PICTURE: [number, Word][] = [[4, 'good'], [3, 'fair'], [2, 'poor']]

const wordOf = (value: number, words: [number, Word][]): Word => words.find(([from]) => value >= from)?.[1] ?? 'bad'
export const voiceWord = (mos: number): Word => wordOf(mos, VOICE)
export const pictureWord = (score: number): Word => wordOf(score, PICTURE)

export interface QualityRow {
  peerId: string
  name: string
  role: string
  self: boolean
  mos: number | null
  score: number | null
  /** `unknown` while nothing was said. */
  code: string
  values: Record<string, number | string>
}

/** What our own page has measured, in the server's words; it knows at once, the server within seconds. */
const OWN_CAUSES: Record<string, (verdict: Verdict) => Pick<QualityRow, 'code' | 'values'>> = {
  downlink_loss: ({ lossPercent }) => ({ code: 'downlink_loss', values: { percent: lossPercent } }),
  uplink_loss: ({ uplinkPercent }) => ({ code: 'uplink_loss', values: { percent: uplinkPercent ?? 0 } }),
  slow: ({ roundTripMs }) => ({ code: 'round_trip', values: { ms: roundTripMs ?? 0 } }),
  frozen: () => ({ code: 'frozen', values: {} }),
}

/** Ourselves first, then the others by role. */
export function qualityRows(snapshot: RoomSnapshot, selfName: string, own: Verdict): QualityRow[] {
  const row = (peerId: string, name: string, role: string, self: boolean): QualityRow => {
    const told = snapshot.quality.find((one) => one.peerId === peerId)
    const cause = told?.cause
    const values = cause?.values ?? {}
    return {
      peerId, name, role, self, mos: told?.audio?.mos ?? null, score: told?.video?.score ?? null, code: cause?.code ?? 'unknown', values,
    }
  }
  const mine = row(snapshot.peerId, selfName, snapshot.role, true)
  if (mine.code === 'unknown' || mine.code === 'good') {
    Object.assign(mine, OWN_CAUSES[own.cause]?.(own) ?? (own.grade === 'good' ? { code: 'good', values: {} } : {}))
  }
  return [mine, ...byRole(snapshot.peers).map((peer) => row(peer.id, peer.displayName, peer.role, false))]
}

const ORDER: Grade[] = ['good', 'fair', 'poor']
const GRADES: Record<Word, Grade> = { good: 'good', fair: 'fair', poor: 'poor', bad: 'poor' }

/** One grade for the pill: the worse of what we measured and what the server says of us. */
export function pillGrade(snapshot: RoomSnapshot, own: Verdict): Grade | 'lost' {
  if (snapshot.phase === 'reconnecting' || snapshot.path === 'lost') return 'lost'
  if (own.grade === 'unknown') return 'unknown'
  const told = snapshot.quality.find((one) => one.peerId === snapshot.peerId)
  const grades: Grade[] = [own.grade]
  if (told?.audio) grades.push(GRADES[voiceWord(told.audio.mos)])
  if (told?.video) grades.push(GRADES[pictureWord(told.video.score)])
  return grades.reduce((worst, grade) => (ORDER.indexOf(grade) > ORDER.indexOf(worst) ? grade : worst))
}
