/** The paper pulled by pointer or wheel: to the right is back in time. */

export interface DragListeners {
  pointerdown: (event: PointerEvent) => void
  pointermove: (event: PointerEvent) => void
  pointerup: (event: PointerEvent) => void
  pointercancel: (event: PointerEvent) => void
  wheel: (event: WheelEvent) => void
}

/** `endMs`: where the page ends now (device time; null: not looking back); `pxPerSecond` in CSS px. */
export function useDrag(endMs: () => number | null, pxPerSecond: () => number, look: (endMs: number) => void): DragListeners {
  let held: { x: number; endMs: number } | null = null
  const end = () => { held = null }
  return {
    pointerdown: (event) => {
      const now = endMs()
      if (event.button !== 0 || now === null) return
      held = { x: event.clientX, endMs: now }
      ;(event.currentTarget as HTMLElement).setPointerCapture(event.pointerId)
    },
    pointermove: (event) => {
      if (held) look(held.endMs - ((event.clientX - held.x) / pxPerSecond()) * 1000)
    },
    pointerup: end,
    pointercancel: end,
    wheel: (event) => {
      const now = endMs()
      if (now === null) return
      event.preventDefault()
      look(now + ((event.deltaX + event.deltaY) * 1000) / pxPerSecond())
    },
  }
}
