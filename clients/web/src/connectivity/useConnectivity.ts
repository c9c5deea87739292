import { computed, ref, shallowRef } from 'vue'
import { api } from '@/api/client'
import { conclude, stepsOf, targetsOf, type Offered, type Step, type StepId } from './paths'
import { tryPath, tryServer, tryWebSocket, type Outcome, type ProbeTools } from './probe'

export interface Sources {
  origin: URL
  /** The account's token, or null when nobody is logged in. */
  token: () => Promise<string | null>
  tools?: ProbeTools
}

/** One run of all tests, as reactive state. */
export function useConnectivity({ origin, token, tools }: Sources) {
  const steps = shallowRef<Step[]>(stepsOf(null, origin))
  const running = ref(false)
  const finishedAt = ref<Date | null>(null)
  const conclusion = computed(() => (finishedAt.value ? conclude(steps.value) : null))

  function change(id: StepId, by: Partial<Step>): void {
    steps.value = steps.value.map((step) => (step.id === id ? { ...step, ...by } : step))
  }

  async function run(id: StepId, work: () => Promise<Outcome>): Promise<boolean> {
    change(id, { state: 'running' })
    const { works, roundTripMs, detail } = await work()
    change(id, { state: works ? 'works' : 'blocked', roundTripMs, detail })
    return works
  }

  async function offered(account: string | null): Promise<Offered | null> {
    return account === null ? null : api.get<Offered>('/connectivity').catch(() => null)
  }

  /** The server first: without it nothing else can be asked. The other ways then at the same time, each with its own mark. */
  async function start(): Promise<void> {
    if (running.value) return
    running.value = true
    finishedAt.value = null
    steps.value = stepsOf(null, origin).map((step) => ({ ...step, state: 'waiting' }))
    if (await run('server', () => tryServer(tools))) {
      const account = await token()
      const found = await offered(account)
      const [server] = steps.value
      steps.value = stepsOf(found, origin).map((step) => (step.id === 'server' && server ? server : step))
      const targets = found && account ? targetsOf(found) : []
      await Promise.all([
        run('websocket', () => tryWebSocket(origin, tools)),
        ...targets.map((target) => run(target.id, () => tryPath(target, account ?? '', tools))),
      ])
    } else {
      steps.value = steps.value.map((step) => (step.state === 'waiting' ? { ...step, state: 'unasked' } : step))
    }
    running.value = false
    finishedAt.value = new Date()
  }

  return { steps, running, finishedAt, conclusion, start }
}
