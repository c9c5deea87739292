/** Escalation policies as the editor sees them: what is wrong with one, and what will happen, in steps of time. Bounds as in server/oncall/limits.py. */
export interface Step { seconds: number | null; together: number | null; desk: boolean }
export interface Policy { everyoneByS: number; steps: Step[] }

export const STEPS_MAX = 12
export const RING_LEAST_S = 10
export const RING_LONGEST_S = 24 * 3_600
export const TOGETHER_MAX = 20
/** An urgent request rings everybody by then, whatever the policy says. */
export const EVERYONE_BY_S = 300

export type Problem = 'seconds' | 'together'

export function problemOf(step: Step): Problem | null {
  const { seconds, together } = step
  if (seconds !== null && !(seconds >= RING_LEAST_S && seconds <= RING_LONGEST_S)) return 'seconds'
  if (together !== null && !(Number.isInteger(together) && together >= 1 && together <= TOGETHER_MAX)) return 'together'
  return null
}

export const isSound = (policy: Policy): boolean =>
  policy.steps.length > 0 && policy.steps.length <= STEPS_MAX && policy.everyoneByS >= 0 && policy.everyoneByS <= EVERYONE_BY_S && policy.steps.every((step) => !problemOf(step))

/** One stretch of time: who is rung from when; `last` goes on until somebody answers. */
export interface Stage { from: number; seconds: number; together: number | null; desk: boolean; last: boolean }

/** What happens when nobody answers. `ring`: seconds of a step that names none; `urgent`: everybody by `everyoneByS`. */
export function stages(policy: Policy, ring: number, urgent: boolean): Stage[] {
  const found: Stage[] = []
  let at = 0
  for (const [index, step] of policy.steps.entries()) {
    if (urgent && at >= policy.everyoneByS) break
    const seconds = step.seconds ?? ring
    const until = urgent && step.together !== null ? Math.min(at + seconds, policy.everyoneByS) : at + seconds
    found.push({ from: at, seconds: until - at, together: step.together, desk: step.desk, last: index === policy.steps.length - 1 })
    at = until
  }
  const end = found.at(-1)
  if (!urgent || !end || (end.together === null && end.desk)) return found
  const from = end.last ? policy.everyoneByS : at
  // The last step repeats up to then.
  if (end.last) end.seconds = Math.max(from - end.from, 0)
  end.last = false
  return [...found.filter((one) => one.seconds > 0), { from, seconds: ring, together: null, desk: true, last: true }]
}

export const copyOf = (policy: Policy): Policy => ({ everyoneByS: policy.everyoneByS, steps: policy.steps.map((step) => ({ ...step })) })
export const same = (one: Policy, other: Policy): boolean => JSON.stringify(copyOf(one)) === JSON.stringify(copyOf(other))
