import { computed, ref, shallowRef, watch, type Ref } from 'vue'
import { api, query } from '@/api/client'
import { asked as wanted, isNarrowed, type Filters, type Overview } from './filters'

/** Shown at first and with each step further; the server shows no more than `MOST` on one screen. */
const STEP = 50
export const MOST = 300

/** What is open, narrowed by the filters: read anew when they change, further rows on demand. What is shown stays until the answer is there. */
export function useOverview<T>(path: string, filters: Ref<Filters>) {
  const overview = shallowRef<Overview<T> | null>(null)
  const error = ref<unknown>(null)
  const busy = ref(false)
  const limit = ref(STEP)
  let asked = 0

  async function load(): Promise<void> {
    const mine = ++asked
    busy.value = true
    try {
      const found = await api.get<Overview<T>>(path + query({ ...wanted(filters.value), limit: limit.value }))
      if (mine !== asked) return // other filters, or a later state, were asked for meanwhile
      overview.value = found
      error.value = null
    } catch (caught) {
      if (mine === asked) error.value = caught
    } finally {
      if (mine === asked) busy.value = false
    }
  }

  watch(filters, () => {
    limit.value = STEP
    void load()
  })
  void load()

  async function more(): Promise<void> {
    limit.value = Math.min(MOST, limit.value + STEP)
    await load()
  }

  const items = computed(() => overview.value?.items ?? [])
  const total = computed(() => Object.values(overview.value?.counts ?? {}).reduce((sum, count) => sum + count, 0))
  /** Of those that are meant, how many are not on the screen. */
  const hidden = computed(() => (overview.value ? Math.max(0, overview.value.matched - items.value.length) : 0))
  const nothing = computed(() => isNarrowed(filters.value) && overview.value?.matched === 0)
  return { overview, items, total, hidden, nothing, limit, error, busy, load, more }
}
