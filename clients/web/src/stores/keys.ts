import { ref } from 'vue'

const STORED = 'hz.keys'

/** Whether single letters are commands in the room; whoever dictates or has unsteady hands turns them off (WCAG 2.1.4). */
export const letterKeys = ref(localStorage.getItem(STORED) !== 'off')

export function setLetterKeys(on: boolean): void {
  letterKeys.value = on
  localStorage.setItem(STORED, on ? 'on' : 'off')
}
