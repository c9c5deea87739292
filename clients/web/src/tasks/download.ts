/** A file that only a signed-in person may have, handed to the browser to keep. */
import { api } from '@/api/client'

/** As if a link to the file had been clicked. */
export function keep(data: Blob, name: string): void {
  const url = URL.createObjectURL(data)
  const link = Object.assign(document.createElement('a'), { href: url, download: name })
  document.body.append(link)
  link.click()
  link.remove()
  // The browser has taken the address by then; the bytes stay until it is done with them.
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}

/** `path` is below `/api/v1`; rejects as every request does. */
export async function fetchAndKeep(path: string, name: string, abort: AbortSignal): Promise<void> {
  keep(await (await api.file(path, abort)).blob(), name)
}
