import { defineStore } from 'pinia'
import { ref } from 'vue'
import { EventsClient } from '@/api/events'
import { useSession } from './session'

/** The live line of the signed-in account, and whether it is up. */
export const useLive = defineStore('live', () => {
  const session = useSession()
  const client = new EventsClient({ token: () => session.accessToken, renew: () => session.refresh() })
  const state = ref<'off' | 'up' | 'down'>('off')

  client.on('connected', () => { state.value = 'up' })
  client.on('disconnected', () => { state.value = 'down' })

  function start(): void {
    void client.start()
  }

  function stop(): void {
    client.stop()
    state.value = 'off'
  }

  return { state, start, stop, on: client.on.bind(client) }
})
