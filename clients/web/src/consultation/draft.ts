import { computed, onScopeDispose, reactive, ref } from 'vue'

export interface OpinionDraft { findings: string; conclusion: string; advice: string; followUp: string; critical: boolean }
export type DraftState = 'same' | 'typing' | 'saving' | 'saved' | 'failed'

/** A pause in typing after which the draft is kept. */
const PAUSE_MS = 1_000

/** An opinion in writing: kept by itself after each pause, one saving at a time, and never overwritten from outside. */
export function useDraft(initial: OpinionDraft, save: (draft: OpinionDraft) => Promise<void>) {
  const draft = reactive({ ...initial })
  const state = ref<DraftState>('same')
  const error = ref<unknown>(null)
  let kept = JSON.stringify(initial)
  let pause: ReturnType<typeof setTimeout> | undefined
  let running: Promise<void> = Promise.resolve()

  async function keep(): Promise<void> {
    const now = JSON.stringify(draft)
    if (now === kept) return
    state.value = 'saving'
    try {
      await save(JSON.parse(now) as OpinionDraft)
      kept = now
      error.value = null
      state.value = JSON.stringify(draft) === now ? 'saved' : 'typing'
    } catch (caught) {
      error.value = caught
      state.value = 'failed'
      throw caught
    }
  }

  /** Saves what is not saved yet; rejects when that failed. */
  function flush(): Promise<void> {
    clearTimeout(pause)
    running = running.catch(() => undefined).then(keep)
    return running
  }

  function changed(): void {
    state.value = 'typing'
    clearTimeout(pause)
    pause = setTimeout(() => void flush().catch(() => undefined), PAUSE_MS) // the failure is in `error`, on the screen
  }

  const unsaved = computed(() => state.value !== 'same' && state.value !== 'saved')
  onScopeDispose(() => { if (unsaved.value) void flush().catch(() => undefined) })
  return { draft, state, error, unsaved, changed, flush }
}

/** What an opinion lacks before it can be signed. */
export function missingInOpinion(draft: OpinionDraft): ('findings' | 'conclusion')[] {
  return (['findings', 'conclusion'] as const).filter((field) => !draft[field].trim())
}
