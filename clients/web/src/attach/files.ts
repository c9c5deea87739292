/** What may be laid beside a consult, before it is sent. The server looks at the bytes and keeps the same bounds. */

export const FILE_BYTES = 20 * 1024 * 1024
export const FILES_MAX = 30
export const VOICE_S = 120
export const ACCEPT = 'image/jpeg,image/png,application/pdf,.dcm,application/dicom,.edf,.bdf,.zip,.csv,.json,.xml'
const NAMES = /\.(jpe?g|png|pdf|dcm|edf|bdf|zip|csv|json|xml)$/i
const TYPES = /^(image\/(jpeg|png)|application\/(pdf|dicom|zip|json|xml)|text\/(csv|xml)|audio\/)/

export interface Picked { key: number; file: File }
export interface Refused { name: string; why: 'size' | 'empty' | 'kind' | 'many' }

/** A DICOM file often has neither a known type nor an ending. */
const isKnown = ({ name, type }: File): boolean => NAMES.test(name) || TYPES.test(type) || (type === '' && !name.includes('.'))

function fault(file: File, taken: number): Refused['why'] | null {
  if (taken >= FILES_MAX) return 'many'
  if (file.size === 0) return 'empty'
  if (file.size > FILE_BYTES) return 'size'
  return isKnown(file) ? null : 'kind'
}

let last = 0

/** Those that may come beside what is there, and those that may not, with the reason. The same file twice is one. */
export function pick(files: Iterable<File>, there: readonly Picked[]): { picked: Picked[]; refused: Refused[] } {
  const picked: Picked[] = []
  const refused: Refused[] = []
  for (const file of files) {
    if ([...there, ...picked].some(({ file: known }) => known.name === file.name && known.size === file.size && known.lastModified === file.lastModified)) continue
    const why = fault(file, there.length + picked.length)
    if (why) refused.push({ name: file.name, why })
    else picked.push({ key: ++last, file })
  }
  return { picked, refused }
}

/** `1.4 MB`, `320 KB`. */
export const sizeOf = (bytes: number): string => (bytes >= 1024 * 1024 ? `${(bytes / 1024 / 1024).toFixed(1)} MB` : `${Math.ceil(bytes / 1024)} KB`)
