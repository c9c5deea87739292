/**
 * Errors of the room protocol. One type for all of them: a stable code for programs, a sentence in both languages for
 * people, and whose turn it is. Errors of the server arrive in this shape; ours are in LOCAL.
 */
export interface Sentences {
  zh: string
  en: string
}

export type Blame = 'peer' | 'server' | 'browser' | 'network'

export interface WireError {
  code: string
  blame?: string
  message?: Partial<Sentences>
  detail?: string
}

const LOCAL = {
  signaling_lost: ['network', '与服务器的连接中断了，正在重新连接', 'The connection to the server was lost; connecting again'],
  signaling_refused: ['server', '服务器没有接受这次连接，请返回后重新进入', 'The server did not accept this connection; go back and enter again'],
  request_timeout: ['network', '服务器没有及时回答，请再试一次', 'The server did not answer in time; please try again'],
  not_joined: ['browser', '还没有进入会诊室', 'The room has not been joined yet'],
  not_allowed: ['browser', '您在这个会诊室里没有这项权限', 'You are not permitted to do this in this room'],
  unsupported_browser: [
    'browser',
    '这个浏览器不支持视频通话，请换用新版的 Chrome、Edge、Firefox 或 Safari',
    'This browser cannot make video calls; please use a current Chrome, Edge, Firefox or Safari',
  ],
  media_denied: [
    'browser',
    '浏览器没有得到使用摄像头或麦克风的许可。请点地址栏左边的图标，允许后再试',
    'The browser may not use the camera or microphone. Allow it by the icon beside the address, then try again',
  ],
  media_missing: ['browser', '没有找到摄像头或麦克风，请检查是否插好', 'No camera or microphone was found; check that it is plugged in'],
  media_busy: [
    'browser',
    '摄像头或麦克风正被别的程序占用，请关闭那个程序后再试',
    'Another program is using the camera or microphone; close it and try again',
  ],
  media_insecure: [
    'browser',
    '这个网址不是安全连接（https），浏览器不允许使用摄像头和麦克风',
    'This address is not secure (https), so the browser forbids the camera and microphone',
  ],
  media_failed: ['browser', '摄像头或麦克风没能打开，请再试一次', 'The camera or microphone could not be opened; please try again'],
  share_cancelled: ['browser', '没有选择要共享的屏幕', 'No screen was chosen to share'],
  transport_failed: [
    'network',
    '音视频通道没有接通。可能是网络挡住了 UDP，请联系网络管理员',
    'Sound and picture could not get through. The network may block UDP; ask the network administrator',
  ],
  internal: ['browser', '页面出了差错，请刷新后再试', 'Something went wrong in this page; please reload it'],
} as const satisfies Record<string, readonly [Blame, string, string]>

export type LocalCode = keyof typeof LOCAL

export class RoomError extends Error {
  override readonly name = 'RoomError'

  constructor(
    readonly code: string,
    readonly sentences: Sentences,
    readonly blame = 'browser',
    readonly detail = '',
  ) {
    super(`${code}: ${sentences.en}`)
  }

  static local(code: LocalCode, detail = ''): RoomError {
    const [blame, zh, en] = LOCAL[code]
    return new RoomError(code, { zh, en }, blame, detail)
  }

  /** Reads an error as the server sends it; missing sentences fall back to the code, so something is always said. */
  static fromWire(wire: WireError): RoomError {
    const zh = wire.message?.zh ?? wire.message?.en ?? wire.code
    const en = wire.message?.en ?? wire.code
    return new RoomError(wire.code, { zh, en }, wire.blame ?? 'server', wire.detail ?? '')
  }

  /** Whatever was thrown, as a RoomError: ours stay as they are, one that carries code and message is read, others are internal. */
  static from(error: unknown): RoomError {
    if (error instanceof RoomError) return error
    if (isWireError(error)) return RoomError.fromWire(error)
    return RoomError.local('internal', error instanceof Error ? error.message : String(error))
  }
}

/** The line broke under a request: it comes back by itself, and with it what was asked for. */
export function lineBroke(error: unknown): boolean {
  return error instanceof RoomError && (error.code === 'signaling_lost' || error.code === 'request_timeout')
}

function isWireError(value: unknown): value is WireError {
  if (typeof value !== 'object' || value === null) return false
  const { code, message } = value as { code?: unknown; message?: unknown }
  return typeof code === 'string' && typeof message === 'object' && message !== null
}
