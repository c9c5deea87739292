/** The text of an audit action: its own, or that of the consult step it ends with (`consultation.submit`). */
export function actionKey(action: string, exists: (key: string) => boolean): string | null {
  const own = `audit.actions.${action.replaceAll('.', '_')}`
  if (exists(own)) return own
  const step = `consultation.actions.${action.split('.').at(-1) ?? ''}`
  return exists(step) ? step : null
}

/** Details as short pairs; what is nested is shown as JSON, what is empty not at all. */
export function detailPairs(detail: Record<string, unknown> | null | undefined): [string, string][] {
  return Object.entries(detail ?? {})
    .filter(([, value]) => value !== null && value !== '')
    .map(([key, value]) => [key, typeof value === 'object' ? JSON.stringify(value) : String(value)])
}
