import { ref, type Ref } from 'vue'

export interface Submit {
  busy: Ref<boolean>
  error: Ref<unknown>
  /** Does the work once at a time; whether it was done. What it throws stands in `error` until the next try. */
  submit(work: () => Promise<unknown>): Promise<boolean>
}

/** What every form that sends something needs: a button that shows it, one try at a time, and what went wrong. */
export function useSubmit(): Submit {
  const busy = ref(false)
  const error = ref<unknown>(null)

  async function submit(work: () => Promise<unknown>): Promise<boolean> {
    if (busy.value) return false
    busy.value = true
    error.value = null
    try {
      await work()
      return true
    } catch (caught) {
      error.value = caught
      return false
    } finally {
      busy.value = false
    }
  }

  return { busy, error, submit }
}
