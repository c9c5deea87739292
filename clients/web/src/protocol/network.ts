/** Tells when the way to the server may have changed: another network, awake again, back in front. */

/** The Network Information API; only phones tell `type` (w3c.github.io/netinfo). */
interface ConnectionLike extends EventTarget {
  readonly type?: string
}

export interface NetworkSources {
  window: EventTarget
  document: EventTarget & { readonly visibilityState: string }
  connection: ConnectionLike | undefined
}

/** `changed`: addresses are others now; `doubt`: nothing is known, but it is worth a look. */
export type NetworkEvent = 'changed' | 'doubt'

export function browserSources(): NetworkSources {
  return { window, document, connection: (navigator as { connection?: ConnectionLike }).connection }
}

/** Reports until the returned function is called. */
export function watchNetwork(report: (event: NetworkEvent) => void, sources: NetworkSources = browserSources()): () => void {
  const { window: page, document: view, connection } = sources
  let type = connection?.type
  const heard: [EventTarget | undefined, string, () => void][] = [
    [page, 'online', () => report('changed')],
    [page, 'offline', () => report('doubt')],
    // Its rate and round trip are estimates that change all the time; only another kind of network counts.
    [connection, 'change', () => {
      if (connection?.type === type) return
      type = connection?.type
      report('changed')
    }],
    // A phone that was locked or took a call comes back with sockets that nobody has looked after.
    [view, 'visibilitychange', () => { if (view.visibilityState === 'visible') report('doubt') }],
  ]
  for (const [target, name, listener] of heard) target?.addEventListener(name, listener)
  return () => {
    for (const [target, name, listener] of heard) target?.removeEventListener(name, listener)
  }
}
