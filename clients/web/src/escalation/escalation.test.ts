import { describe, expect, it } from 'vitest'
import { isSound, problemOf, stages, STEPS_MAX, type Policy, type Step } from './escalation'

const step = (changes: Partial<Step> = {}): Step => ({ seconds: null, together: 1, desk: false, ...changes })
const policy = (...steps: Step[]): Policy => ({ everyoneByS: 300, steps })

describe('stages', () => {
  it('tells the default of an urgent request: one, one, two, two, then everybody and the desk', () => {
    const all = step({ together: null, desk: true })
    const found = stages(policy(step(), step(), step({ together: 2 }), step({ together: 2 }), all), 60, true)
    expect(found.map(({ from, together }) => [from, together])).toEqual([[0, 1], [60, 1], [120, 2], [180, 2], [240, null]])
    expect(found.at(-1)).toMatchObject({ last: true, desk: true })
  })

  it('rings everybody by five minutes whatever an urgent policy says', () => {
    const found = stages(policy(step({ seconds: 200 }), step({ seconds: 200, together: 2 })), 60, true)
    expect(found.map(({ from, seconds, together }) => [from, seconds, together])).toEqual([[0, 200, 1], [200, 100, 2], [300, 60, null]])
  })

  it('cuts a step that would go on too long, and leaves out what never comes', () => {
    const found = stages({ everyoneByS: 100, steps: [step({ seconds: 90 }), step({ seconds: 90 }), step({ seconds: 90 })] }, 60, true)
    expect(found.map(({ from, together }) => [from, together])).toEqual([[0, 1], [90, 1], [100, null]])
  })

  it('repeats the last step of others until somebody answers', () => {
    const found = stages(policy(step(), step({ together: 2, seconds: 30 })), 14_400, false)
    expect(found.map(({ from, seconds, last }) => [from, seconds, last])).toEqual([[0, 14_400, false], [14_400, 30, true]])
  })
})

describe('isSound', () => {
  it('knows the bounds', () => {
    expect(isSound(policy(step()))).toBe(true)
    expect(isSound(policy())).toBe(false)
    expect(isSound(policy(...Array.from({ length: STEPS_MAX + 1 }, () => step())))).toBe(false)
    expect(isSound({ everyoneByS: 301, steps: [step()] })).toBe(false)
    expect(problemOf(step({ seconds: 9 }))).toBe('seconds')
    expect(problemOf(step({ seconds: Number.NaN }))).toBe('seconds')
    expect(problemOf(step({ together: 0 }))).toBe('together')
    expect(problemOf(step({ together: 1.5 }))).toBe('together')
    expect(problemOf(step({ together: null }))).toBeNull()
  })
})
