import type { Answer } from '@/head/start'
import { learnServerTime } from './time'
import type { Text } from './types'

/** Every request is answered within this time or the user is told that the line is down. */
const TIMEOUT_MS = 15_000

interface Problem { code?: string; detail?: string; message?: { zh: string; en: string }; [extension: string]: unknown }

/**
 * What went wrong, in words for the user. `status` 0 means that no answer came: `code` is then `offline` or `timeout`.
 * `blame` tells whose turn it is: `peer` = what we sent, `server` = the server, `network` = the line.
 */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly text: { zh: string; en: string },
    readonly detail = '',
    readonly problem: Record<string, unknown> = {},
  ) {
    super(code)
    this.name = 'ApiError'
  }

  get blame(): 'peer' | 'server' | 'network' {
    if (this.status === 0) return 'network'
    return this.status >= 500 ? 'server' : 'peer'
  }
}

const NETWORK = {
  offline: { zh: '连不上服务器，请检查网络', en: 'The server cannot be reached; check the network' },
  timeout: { zh: '服务器在 15 秒内没有回答', en: 'The server did not answer within 15 seconds' },
}

/** Gives the account token, and a fresh one when the server said that the old one is over. */
export interface Credentials {
  token(): string | null
  renew(): Promise<boolean>
}

let credentials: Credentials = { token: () => null, renew: () => Promise.resolve(false) }

/** Whoever is signed in, for requests that are not sent here. */
export const session: Credentials = { token: () => credentials.token(), renew: () => credentials.renew() }

export function useCredentials(source: Credentials): void {
  credentials = source
}

async function send(method: string, path: string, body: unknown, token: string | null, abort?: AbortSignal): Promise<Response> {
  const headers = new Headers({ Accept: abort ? '*/*' : 'application/json' })
  if (token) headers.set('Authorization', `Bearer ${token}`)
  const file = body instanceof Blob
  if (body !== undefined) headers.set('Content-Type', file ? 'text/csv' : 'application/json')
  const url = path.startsWith('/api/') ? path : `/api/v1${path}`
  const began = performance.now()
  try {
    const response = await fetch(url, {
      method, headers, body: body === undefined || file ? body : JSON.stringify(body),
      credentials: 'same-origin', signal: abort ?? AbortSignal.timeout(file ? 20 * TIMEOUT_MS : TIMEOUT_MS),
    })
    const receivedAt = Date.now()
    learnServerTime(response.headers.get('Date'), receivedAt - (performance.now() - began), receivedAt)
    return response
  } catch (error) {
    const code = error instanceof DOMException && error.name === 'TimeoutError' ? 'timeout' : 'offline'
    throw new ApiError(0, code, NETWORK[code])
  }
}

async function refusal(response: Response): Promise<ApiError> {
  const problem = await response.json().catch(() => ({})) as Problem
  const fallback = { zh: `服务器回答 ${response.status}`, en: `The server answered ${response.status}` }
  return new ApiError(response.status, problem.code ?? `http_${response.status}`, problem.message ?? fallback, problem.detail ?? '', problem)
}

async function answered(method: string, path: string, body?: unknown, abort?: AbortSignal): Promise<Response> {
  const response = await send(method, path, body, credentials.token(), abort)
  if (response.status !== 401 || path.startsWith('/auth/') || !await credentials.renew()) return response
  return await send(method, path, body, credentials.token(), abort)
}

async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  return await read<T>(await answered(method, path, body))
}

/** A file: it may take as long as it takes, until `abort`. Rejects as the others do. */
async function file(path: string, abort: AbortSignal): Promise<Response> {
  const response = await answered('GET', path, undefined, abort)
  if (!response.ok) throw await refusal(response)
  return response
}

async function read<T>(response: Response): Promise<T> {
  if (!response.ok) throw await refusal(response)
  if (response.status === 204) return undefined as T
  return await response.json() as T
}

/** What the answer says to a request that the page's head sent. */
export function readAnswer<T>({ response, sentAt, receivedAt }: Answer): Promise<T> {
  learnServerTime(response.headers.get('Date'), sentAt, receivedAt)
  return read<T>(response)
}

/** Paths are below `/api/v1`; a body is sent as JSON, a `Blob` as the file that it is; anything but 2xx throws an `ApiError`. */
export const api = {
  get: <T>(path: string): Promise<T> => request<T>('GET', path),
  file,
  post: <T>(path: string, body: unknown = {}): Promise<T> => request<T>('POST', path, body),
  put: <T>(path: string, body: unknown = {}): Promise<T> => request<T>('PUT', path, body),
  patch: <T>(path: string, body: unknown = {}): Promise<T> => request<T>('PATCH', path, body),
  delete: <T>(path: string): Promise<T> => request<T>('DELETE', path),
}

/** `?a=1&b=2` of the values that are there. */
export function query(values: Record<string, string | number | undefined | null>): string {
  const pairs = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== '')
  return pairs.length ? `?${new URLSearchParams(pairs.map(([key, value]) => [key, String(value)])).toString()}` : ''
}

/** What any thrown thing says to the user. */
export function explain(error: unknown): Text {
  if (error instanceof ApiError) return error.text
  return { zh: '程序出错，请重新载入页面', en: 'The program failed; reload the page' }
}
