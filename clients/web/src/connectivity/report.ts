/** The report to hand to the network people: plain lines that survive any messenger. */
import { conclude, requests, type Step } from './paths'

type Say = (key: string, values?: Record<string, unknown>) => string

export function reportText(steps: Step[], origin: URL, at: Date, browser: string, say: Say): string {
  const state = ({ state, roundTripMs, detail }: Step) =>
    [say(`connectivity.state.${state}`), roundTripMs === null ? '' : say('connectivity.roundTrip', { ms: roundTripMs }), state === 'blocked' ? detail : '']
      .filter(Boolean)
      .join(', ')
  const wanted = requests(steps)
  return [
    `${say('connectivity.title')} · ${origin.origin} · ${at.toISOString()}`,
    say(`connectivity.conclusion.${conclude(steps)}`),
    '',
    ...steps.map((step) => `${say(`connectivity.step.${step.id}`)}: ${state(step)}${step.needs.length ? ` [${step.needs.join(', ')}]` : ''}`),
    ...(wanted.length ? ['', say('connectivity.ask'), ...wanted.map(({ id, needs }) => `- ${needs.join(', ')} (${say(`connectivity.step.${id}`)})`)] : []),
    '',
    browser,
  ].join('\n')
}
