/** Files on their way to a consult: they go on while pages change, one after another, and stay until they are kept or left out. */
import { defineStore } from 'pinia'
import { reactive } from 'vue'
import { query } from '@/api/client'
import type { Picked } from './files'

export interface Upload extends Picked { state: 'waiting' | 'sending' | 'failed'; percent: number; error: unknown }

export type Send = (path: string, file: File, progress: (part: number) => void, abort: AbortSignal) => Promise<unknown>
const byXhr: Send = async (path, file, progress, abort) => (await import('@/api/sendFile')).sendFile(path, file, progress, abort)

/** Leaving the page would lose what was not sent yet: the browser asks. */
const keepPage = (event: BeforeUnloadEvent) => event.preventDefault()

export const useUploads = defineStore('uploads', () => {
  const byConsult = reactive(new Map<string, Upload[]>())
  const aborts = new Map<number, AbortController>()
  const running = new Set<string>()

  const of = (id: string): Upload[] => byConsult.get(id) ?? []
  const pending = (): boolean => [...byConsult.values()].some((list) => list.length > 0)

  function settle(id: string): void {
    if (of(id).length === 0) byConsult.delete(id)
    if (!pending()) window.removeEventListener('beforeunload', keepPage)
  }

  function drop(id: string, key: number): void {
    aborts.get(key)?.abort()
    byConsult.set(id, of(id).filter((one) => one.key !== key))
    settle(id)
  }

  async function one(id: string, upload: Upload, send: Send): Promise<void> {
    const abort = new AbortController()
    aborts.set(upload.key, abort)
    Object.assign(upload, { state: 'sending', percent: 0, error: null })
    try {
      const path = `/consultations/${encodeURIComponent(id)}/materials${query({ name: upload.file.name })}`
      await send(path, upload.file, (part) => { upload.percent = Math.floor(part * 100) }, abort.signal)
      drop(id, upload.key)
    } catch (caught) {
      if (!abort.signal.aborted) Object.assign(upload, { state: 'failed', error: caught })
    } finally {
      aborts.delete(upload.key)
    }
  }

  async function run(id: string, send: Send): Promise<void> {
    if (running.has(id)) return
    running.add(id)
    try {
      for (let next = of(id).find(({ state }) => state === 'waiting'); next; next = of(id).find(({ state }) => state === 'waiting')) await one(id, next, send)
    } finally {
      running.delete(id)
    }
  }

  /** `send` is the wire; tests bring their own. */
  function start(id: string, files: readonly Picked[], send: Send = byXhr): Promise<void> {
    if (files.length === 0) return Promise.resolve()
    byConsult.set(id, [...of(id), ...files.map((file): Upload => ({ ...file, state: 'waiting', percent: 0, error: null }))])
    window.addEventListener('beforeunload', keepPage)
    return run(id, send)
  }

  function again(id: string, key: number, send: Send = byXhr): Promise<void> {
    const upload = of(id).find((each) => each.key === key)
    if (upload) upload.state = 'waiting'
    return run(id, send)
  }

  return { of, start, again, drop }
})
