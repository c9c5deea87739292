/** A file on its way to the server, with how far it is: what `fetch` does not tell. */
import { ApiError, session } from './client'
import type { Credentials } from './client'

interface Problem { code?: string; detail?: string; message?: { zh: string; en: string } }

function once<T>(url: string, data: Blob, token: string | null, progress: (part: number) => void, abort: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', url)
    request.responseType = 'json'
    request.setRequestHeader('Accept', 'application/json')
    if (token) request.setRequestHeader('Authorization', `Bearer ${token}`)
    request.upload.onprogress = ({ loaded, total }) => progress(total > 0 ? loaded / total : 0)
    request.onerror = () => reject(new ApiError(0, 'offline', { zh: '文件没有传完，请检查网络后重试', en: 'The file was not sent whole; check the network and try again' }))
    request.onabort = () => reject(new DOMException('aborted', 'AbortError'))
    request.onload = () => {
      if (request.status < 300) resolve(request.response as T)
      else {
        const problem = (request.response ?? {}) as Problem
        const fallback = { zh: `服务器回答 ${request.status}`, en: `The server answered ${request.status}` }
        reject(new ApiError(request.status, problem.code ?? `http_${request.status}`, problem.message ?? fallback, problem.detail ?? ''))
      }
    }
    abort.addEventListener('abort', () => request.abort())
    request.send(data)
  })
}

/** Rejects with an `ApiError`, or as an aborted fetch does; `progress` hears the part that was sent, 0 to 1. `path` is below `/api/v1`. */
export async function sendFile<T>(path: string, data: Blob, progress: (part: number) => void, abort: AbortSignal, who: Credentials = session): Promise<T> {
  const url = `/api/v1${path}`
  try {
    return await once<T>(url, data, who.token(), progress, abort)
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401 || !await who.renew()) throw error
    return await once<T>(url, data, who.token(), progress, abort)
  }
}
