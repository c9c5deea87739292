import type { ConsultationPush } from '@/api/events'
import type { Consultation } from '@/api/types'
import type { Toast } from '@/stores/toast'

/** `key`: of a text below `reach.told`; `stays`: until it is closed by hand. */
export interface News { key: string; tone: Toast['tone']; stays?: boolean }

/** States in which the room is its own news: whoever is there sees them. */
const MET = ['ACCEPTED', 'SCHEDULED', 'READY', 'IN_SESSION', 'SUSPENDED']
const TAKEN_AWAY = ['no_show', 'give_up']
/** Events after which another expert is looked for. */
const AGAIN = ['release', ...TAKEN_AWAY]

/** Whether a consult has news for a page at `path`: its own page shows everything. */
export const isElsewhere = (push: Pick<ConsultationPush, 'id' | 'state'>, path: string): boolean => (
  path !== `/c/${push.id}` && !(path === `/room/${push.id}` && MET.includes(push.state))
)

/** Whether it is worth a look, which the trail keeps: whoever was rung for a consult of others, or is another one's colleague, takes none. */
export function mayConcern(push: ConsultationPush, known: Consultation | undefined, reader: string): boolean {
  if (!known) return push.state !== 'OFFERED'
  return known.requester.id === reader || known.expert?.id === reader || known.offers.some((offer) => offer.practitioner.id === reader && offer.state === 'accepted')
}

/** What the requester or the expert wants to hear of a consult, wherever they are; null: nothing new. */
export function newsOf(one: Consultation, alarm: string | undefined, reader: string): News | null {
  if (one.unread > 0 && one.events.at(-1)?.action === 'post') return { key: 'message', tone: 'info' }
  const moved = [...one.events].reverse().find((event) => event.to !== null && event.to !== event.from)
  if (moved?.actor?.id === reader && !alarm) return null
  if (one.requester.id === reader) return forRequester(one, alarm)
  if (one.expert?.id === reader) return forExpert(one, alarm)
  const mine = one.offers.some((offer) => offer.practitioner.id === reader && offer.state === 'accepted')
  return mine && moved && one.events.some((event) => TAKEN_AWAY.includes(event.action) && event.to === 'ESCALATED') ? { key: 'takenAway', tone: 'danger' } : null
}

const ACCEPTED: Record<string, string> = { picture_text: 'thread', diagnostic: 'read' }
/** What a state, or the alarm of a step, says by itself. */
const OF_REQUESTER: Record<string, News> = {
  call: { key: 'critical', tone: 'danger', stays: true },
  amend: { key: 'amended', tone: 'ok' },
  no_show: { key: 'waits', tone: 'danger' },
  SCHEDULED: { key: 'scheduled', tone: 'info' },
  UNFILLED: { key: 'unfilled', tone: 'danger' },
  RETURNED_INFO: { key: 'information', tone: 'info' },
  SUSPENDED: { key: 'suspended', tone: 'danger' },
  REFERRED: { key: 'referred', tone: 'info' },
  CANCELLED: { key: 'cancelled', tone: 'info' },
}
const OF_EXPERT: Record<string, News> = {
  overdue: { key: 'overdue', tone: 'danger' },
  telephone: { key: 'telephone', tone: 'danger', stays: true },
  SCHEDULED: { key: 'scheduled', tone: 'info' },
  SUSPENDED: { key: 'suspended', tone: 'danger' },
  CANCELLED: { key: 'cancelled', tone: 'danger' },
}
const opened = (one: Consultation): News | null => (one.state === 'READY' && one.scheduledFor ? { key: 'ready', tone: 'ok' } : null)

function forRequester(one: Consultation, alarm = ''): News | null {
  const plain = OF_REQUESTER[alarm] ?? OF_REQUESTER[one.state]
  if (plain) return plain
  if (one.state === 'ACCEPTED') return { key: ACCEPTED[one.kind] ?? 'accepted', tone: 'ok' }
  if (one.state === 'RETURNED') return returned(one, alarm)
  const again = one.state === 'OFFERED' && one.events.some((event) => AGAIN.includes(event.action) && event.to === 'ESCALATED')
  return again ? { key: 'again', tone: 'info' } : opened(one)
}

function returned({ opinion }: Consultation, alarm: string): News {
  if (opinion?.critical && !opinion.criticalAcknowledgedAt) return { key: 'critical', tone: 'danger', stays: true }
  return alarm === 'overdue' ? { key: 'decide', tone: 'info' } : { key: 'returned', tone: 'ok' }
}

const forExpert = (one: Consultation, alarm = ''): News | null => OF_EXPERT[alarm] ?? OF_EXPERT[one.state] ?? opened(one)
