import { say } from '@/i18n'
import { DECLINE_REASONS } from '@/ring/reasons'

/** What the server itself says, in both languages. */
const OF_THE_SERVER = /^(\p{Script=Han}+) \/ ([\w ]+)$/u

/** A reason in the reader's words: a decline's code and what the server says; free text stays as it was written. */
export function reasonText(t: (key: string) => string, te: (key: string) => boolean, reason: string): string {
  const [, zh, en] = OF_THE_SERVER.exec(reason) ?? []
  if (zh && en) return say({ zh, en })
  const key = `ring.reasons.${reason}`
  return (DECLINE_REASONS as readonly string[]).includes(reason) && te(key) ? t(key) : reason
}
