import type { BuiltinHandlerName } from 'mediasoup-client/types'

/** The few facts about the browser that decide; taken from window by default, passed in by tests. */
export interface EngineHints {
  userAgent: string
  /** `chrome` or `userAgentData` exist only in Chromium; `webkitSpeechRecognition`-like features exist in both. */
  chromium: boolean
}

export function engineHints(scope: Window & typeof globalThis = window): EngineHints {
  return {
    userAgent: scope.navigator.userAgent,
    // An emulated iPhone changes the user agent only: V8's stack capture API and `chrome` stay. Real WebKit has neither both.
    chromium: 'chrome' in scope || 'userAgentData' in scope.navigator,
  }
}

/**
 * Which mediasoup-client handler to force, or undefined to let it detect. Detection goes by user agent; Chromium that
 * emulates an iPhone would get Safari12, whose simulcast throws there. So the engine, not its name, decides.
 */
export function handlerName(hints: EngineHints): BuiltinHandlerName | undefined {
  const claimsChromium = /Chrome\/|Chromium\/|Edg\//.test(hints.userAgent) && !/iPhone|iPad|iPod|CriOS|FxiOS/.test(hints.userAgent)
  return hints.chromium && !claimsChromium ? 'Chrome111' : undefined
}
