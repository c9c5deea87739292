/** What the rota tells whoever has a page open: `public/sw.js` says the same where none is. */
import type { RotaPush } from '@/api/events'
import { query } from '@/api/client'

/** What is told once; a gap once a rota until it is covered, and once more when it is close by. */
export function keyOf(push: RotaPush): string {
  if (push.kind === 'gap') return `gap ${push.scheduleId}${push.soon ? ` soon ${push.id}` : ''}`
  return `${push.id} ${push.stage} ${push.part} ${push.takes} ${push.hands}`
}

/** The names of the texts, below `reach`. */
export function textOf({ kind, soon, takes, hands, part, stage }: RotaPush): string {
  if (kind === 'gap') return soon ? 'gapSoon' : 'gap'
  if (kind === 'ask') return part === 'desk' ? 'stages.desk' : `stages.${stage}`
  const [comes, goes] = [takes?.length, hands?.length]
  return `shift.${comes && goes ? 'moves' : comes ? 'takes' : goes ? 'hands' : 'changed'}`
}

/** The calendar at the right rota and day, and the swap or leave in it. */
export const pathOf = ({ kind, id, scheduleId, day }: RotaPush): string => `/rota${query({ rota: scheduleId ?? '', day: day ?? '', ask: kind === 'ask' ? id : '' })}`
