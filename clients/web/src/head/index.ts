import { start, type HeadFiles } from './start'

/** Written in by build/head-script.ts, which also puts this script into index.html. */
declare const __HEAD_FILES__: HeadFiles

start(__HEAD_FILES__, window, (file) => import(/* @vite-ignore */ file))
