/** A first word about the line before the room: how long small questions to the server take. */
export type LineGrade = 'good' | 'fair' | 'poor' | 'blocked'

const QUESTIONS = 3
/** Round trips, ms: up to here conversation is natural; up to there one waits for each other. */
const GOOD_MS = 150
const FAIR_MS = 400

export function gradeLine(roundTrips: number[]): LineGrade {
  const [best] = [...roundTrips].sort((a, b) => a - b)
  if (best === undefined) return 'blocked'
  if (best <= GOOD_MS) return 'good'
  return best <= FAIR_MS ? 'fair' : 'poor'
}

export async function tryLine(ask: () => Promise<unknown> = () => fetch('/healthz', { cache: 'no-store' }), now = () => performance.now()): Promise<LineGrade> {
  const roundTrips: number[] = []
  for (let question = 0; question < QUESTIONS; question += 1) {
    const asked = now()
    try {
      await ask()
      roundTrips.push(now() - asked)
    } catch {
      continue // one lost question is what is being found out
    }
  }
  return gradeLine(roundTrips)
}
