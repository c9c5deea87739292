const pad = (value: number): string => String(value).padStart(2, '0')

/** An instant as a `datetime-local` field holds it, at the reader's place. */
export function localInput(at: number): string {
  const date = new Date(at)
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}T${pad(date.getHours())}:${pad(date.getMinutes())}`
}
