/** Fetches a file that only a signed-in person may have, with its progress, and hands it to the browser to keep. */
import { api, query } from '@/api/client'
import { keep } from '@/tasks/download'

export const FORMATS = ['dicom', 'edf', 'wfdb', 'csv', 'fhir'] as const
export type Format = (typeof FORMATS)[number]

export interface DownloadedFile { name: string; data: Blob }

/**
 * Rejects with an `ApiError` when the server refuses.
 * `progress` is given the share that has come, 0-1, from the first byte on.
 */
export async function download(
  path: string, parameters: Record<string, string>, progress: (share: number) => void, abort: AbortSignal,
): Promise<DownloadedFile> {
  const response = await api.file(path + query(parameters), abort)
  const total = Number(response.headers.get('Content-Length')) || 0
  const parts: Uint8Array<ArrayBuffer>[] = []
  let come = 0
  const reader = response.body?.getReader()
  while (reader) {
    const { done, value } = await reader.read()
    if (done) break
    parts.push(value)
    come += value.length
    if (total) progress(Math.min(1, come / total))
  }
  const type = response.headers.get('Content-Type') ?? 'application/octet-stream'
  return { name: nameOf(response.headers.get('Content-Disposition')), data: new Blob(parts, { type }) }
}

/** The name in `attachment; filename="..."` (RFC 6266). */
export function nameOf(disposition: string | null): string {
  return /filename="([^"/\\]+)"/.exec(disposition ?? '')?.[1] ?? 'signal'
}

/** As if a link to the file had been clicked. */
export const save = (file: DownloadedFile): void => keep(file.data, file.name)
