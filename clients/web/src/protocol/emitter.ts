/** A typed event emitter: each name maps to one payload. Listeners run in order; one that throws does not stop the others. */
export type Listener<P> = (payload: P) => void

export class Emitter<Events extends object> {
  private readonly listeners = new Map<keyof Events, Set<Listener<never>>>()

  /** Adds a listener and returns the function that removes it. */
  on<K extends keyof Events>(name: K, listener: Listener<Events[K]>): () => void {
    const set = this.listeners.get(name) ?? new Set()
    this.listeners.set(name, set)
    set.add(listener as Listener<never>)
    return () => set.delete(listener as Listener<never>)
  }

  emit<K extends keyof Events>(name: K, payload: Events[K]): void {
    for (const listener of [...(this.listeners.get(name) ?? [])]) {
      try {
        ;(listener as Listener<Events[K]>)(payload)
      } catch (error) {
        // A broken view must not break the protocol; the error still reaches window.onerror.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  removeAll(): void {
    this.listeners.clear()
  }
}
