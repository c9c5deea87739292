import { onScopeDispose, ref, shallowRef, watch, type Ref } from 'vue'
import { api, query } from '@/api/client'
import type { Page } from '@/api/types'

/** A pause in typing that ends a search word. */
const REST_MS = 250

export interface RegisterList<T> {
  filters: Ref<Record<string, string>>
  /** Null until the first answer. */
  items: Ref<T[] | null>
  cursor: Ref<string | null>
  busy: Ref<boolean>
  error: Ref<unknown>
  load(more?: boolean): Promise<void>
  put(item: T): void
}

/** A list with its filters: read anew when they change, further pages on demand. `may`: whether there is anything to ask for. */
export function useList<T extends { id: string | number }>(path: string, filters: Ref<Record<string, string>>, may: () => boolean = () => true): RegisterList<T> {
  const items = shallowRef<T[] | null>(null)
  const cursor = ref<string | null>(null)
  const busy = ref(false)
  const error = ref<unknown>(null)
  let asked = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  onScopeDispose(() => clearTimeout(timer))

  async function load(more = false): Promise<void> {
    if (!may()) return
    const mine = ++asked
    busy.value = true
    try {
      const page = await api.get<Page<T>>(path + query({ ...filters.value, cursor: more ? cursor.value : null }))
      if (mine !== asked) return // other filters were asked for meanwhile
      items.value = more ? [...items.value ?? [], ...page.items] : page.items
      cursor.value = page.nextCursor
      error.value = null
    } catch (caught) {
      if (mine === asked) error.value = caught
    } finally {
      if (mine === asked) busy.value = false
    }
  }

  /** What the server answered to a change stands in its row at once. */
  function put(item: T): void {
    const known = items.value ?? []
    items.value = known.some((one) => one.id === item.id) ? known.map((one) => (one.id === item.id ? item : one)) : [item, ...known]
    if (busy.value) void load() // the answer on its way may be from before the change: ask again
  }

  watch(filters, () => {
    clearTimeout(timer)
    timer = setTimeout(() => void load(), REST_MS)
  }, { deep: true })
  void load()
  return { filters, items, cursor, busy, error, load, put }
}
