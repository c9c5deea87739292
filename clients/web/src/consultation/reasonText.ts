import { DECLINE_REASONS } from '@/ring/reasons'

/** A decline's code in the reader's words; free text stays as it was written. */
export function reasonText(t: (key: string) => string, te: (key: string) => boolean, reason: string): string {
  const key = `ring.reasons.${reason}`
  return (DECLINE_REASONS as readonly string[]).includes(reason) && te(key) ? t(key) : reason
}
