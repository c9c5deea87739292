// Runs in a page before its own scripts: keeps its peer connections and when each shown picture came, and reduces
// them to figures. Knows nothing of the page but its tiles' data attributes.
(() => {
  // A frame of the page may make them, too.
  const connections = (window.top.__connections ??= new Set())
  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(...options) {
      super(...options)
      connections.add(this)
    }
  }
  const epoch = (time) => performance.timeOrigin + time
  const followed = new WeakSet()
  const pictures = {}  // by source: {last, count, gaps: [[begin, ms], ...]}
  const GAP_MS = 200
  const MAX_GAPS = 5000

  const sourceOf = (element) => {
    const tile = element.closest('[data-testid=tile]')
    return tile && tile.dataset.self === undefined ? tile.dataset.source : undefined
  }
  const shown = (source, now) => {
    const entry = (pictures[source] ??= { last: now, count: 0, gaps: [] })
    if (now - entry.last >= GAP_MS && entry.gaps.length < MAX_GAPS) entry.gaps.push([epoch(entry.last), now - entry.last])
    entry.last = now
    entry.count += 1
  }
  const follow = (video) => {
    if (followed.has(video)) return
    followed.add(video)
    const again = (now) => {
      const source = sourceOf(video)
      if (source) shown(source, now)
      video.requestVideoFrameCallback(again)
    }
    video.requestVideoFrameCallback(again)
  }
  setInterval(() => document.querySelectorAll('[data-testid=tile] video').forEach(follow), 200)

  const tracks = () => {
    const found = {}
    for (const element of document.querySelectorAll('[data-testid=tile] video, [data-testid=tile] audio')) {
      const source = sourceOf(element)
      for (const track of element.srcObject?.getTracks() ?? []) if (source) found[track.id] = source
    }
    return found
  }
  const INBOUND = ['packetsReceived', 'packetsLost', 'bytesReceived', 'framesDecoded', 'framesPerSecond', 'frameWidth', 'frameHeight',
    'freezeCount', 'totalFreezesDuration', 'concealedSamples', 'silentConcealedSamples', 'totalSamplesReceived', 'nackCount', 'pliCount',
    'retransmittedPacketsReceived', 'jitterBufferDelay', 'jitterBufferEmittedCount']
  const OUTBOUND = ['rid', 'bytesSent', 'framesSent', 'frameHeight', 'active', 'qualityLimitationReason', 'targetBitrate']
  const pick = (entry, names) => Object.fromEntries(names.filter((name) => name in entry).map((name) => [name, entry[name]]))

  window.__watched = async () => {
    const sources = tracks()
    const inbound = []
    const outbound = []
    const ways = []
    for (const connection of connections) {
      if (connection.connectionState === 'closed') { connections.delete(connection); continue }
      for (const entry of (await connection.getStats()).values()) {
        // Made by a frame's own constructor, or by the page's; each restart of ICE has another fragment.
        if (entry.type === 'transport') ways.push({ framed: !(connection instanceof RTCPeerConnection), fragment: entry.iceLocalUsernameFragment })
        if (entry.type === 'inbound-rtp') {
          const source = entry.kind === 'audio' ? 'microphone' : sources[entry.trackIdentifier]
          if (source) inbound.push({ source, kind: entry.kind, ...pick(entry, INBOUND) })
        }
        if (entry.type === 'outbound-rtp' && entry.kind === 'video') outbound.push(pick(entry, OUTBOUND))
      }
    }
    const now = performance.now()
    const standing = Object.fromEntries(Object.entries(pictures).map(([source, { last, count, gaps }]) =>
      [source, { last: epoch(last), count, gaps: now - last >= GAP_MS ? [...gaps, [epoch(last), now - last]] : gaps }]))
    const ecg = window.__huizhen?.ecg()
    return {
      at: epoch(now), inbound, outbound, ways, pictures: standing,
      ecg: ecg ? { samples: ecg.samplesDrawn, sequence: ecg.lastSequence, gaps: ecg.gaps, delays: ecg.delays.slice(-500) } : null,
      phase: document.querySelector('[data-testid=room]')?.dataset.phase ?? null,
    }
  }
})()
