/** The ECG's own thread: socket, unpacking and drawing happen here, so a busy page never makes the trace shiver. */
import { EcgEngine, type EngineMessage } from './engine'

const engine = new EcgEngine(
  (told) => postMessage(told),
  (width, height) => new OffscreenCanvas(width, height),
)

addEventListener('message', ({ data }: MessageEvent<EngineMessage>) => engine.handle(data))
