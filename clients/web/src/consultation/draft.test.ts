import { effectScope } from 'vue'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { missingInOpinion, useDraft, type OpinionDraft } from './draft'

const empty: OpinionDraft = { findings: '', conclusion: '', advice: '', followUp: '', critical: false }

describe('a draft opinion', () => {
  beforeEach(() => vi.useFakeTimers())
  afterEach(() => vi.useRealTimers())

  const start = (save: (draft: OpinionDraft) => Promise<void>) => effectScope(true).run(() => useDraft(empty, save))!

  it('is kept once after a pause, with all that was typed', async () => {
    const save = vi.fn(() => Promise.resolve())
    const { draft, changed, state } = start(save)
    draft.findings = 'ST'
    changed()
    await vi.advanceTimersByTimeAsync(500)
    draft.findings = 'ST 段抬高'
    changed()
    await vi.advanceTimersByTimeAsync(999)
    expect(save).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1)
    expect(save.mock.calls).toEqual([[{ ...empty, findings: 'ST 段抬高' }]])
    expect(state.value).toBe('saved')
  })

  it('is not sent when nothing changed', async () => {
    const save = vi.fn(() => Promise.resolve())
    const { flush } = start(save)
    await flush()
    expect(save).not.toHaveBeenCalled()
  })

  it('tells a failure, keeps the words, and can be tried again', async () => {
    const save = vi.fn().mockRejectedValueOnce(new Error('down')).mockResolvedValueOnce(undefined)
    const { draft, changed, flush, state, error, unsaved } = start(save)
    draft.conclusion = '心梗'
    changed()
    await expect(flush()).rejects.toThrow('down')
    expect([state.value, (error.value as Error).message, draft.conclusion, unsaved.value]).toEqual(['failed', 'down', '心梗', true])
    await flush()
    expect([state.value, error.value]).toEqual(['saved', null])
  })

  it('is saved one at a time, the last words last', async () => {
    const order: string[] = []
    let running = 0
    const save = async (draft: OpinionDraft) => {
      expect(++running).toBe(1)
      await new Promise((resolve) => setTimeout(resolve, 100))
      order.push(draft.findings)
      running -= 1
    }
    const { draft, flush } = start(save)
    draft.findings = 'a'
    const first = flush()
    draft.findings = 'b'
    const second = flush()
    await vi.advanceTimersByTimeAsync(1_000)
    await Promise.all([first, second])
    expect(order.at(-1)).toBe('b')
  })

  it('lacks findings and conclusion before it can be signed; advice is free', () => {
    expect(missingInOpinion(empty)).toEqual(['findings', 'conclusion'])
    expect(missingInOpinion({ ...empty, findings: 'x', conclusion: ' ' })).toEqual(['conclusion'])
    expect(missingInOpinion({ ...empty, findings: 'x', conclusion: 'y' })).toEqual([])
  })
})
