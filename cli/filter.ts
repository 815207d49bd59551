/** `--filter KEY=VALUE` of what shows rows. */
import type { Row } from './format.ts'
import { didYouMean } from './nearest.ts'
import { UsageError } from './output.ts'

/** What can be asked for, by key. */
export type Filters = Readonly<Record<string, (row: Row, value: string) => boolean>>

/**
 * As with Docker, several values of one key are alternatives, but labels must all be there.
 *
 * @throws UsageError for what is no filter
 */
export function filterOf(texts: readonly string[], filters: Filters): (row: Row) => boolean {
  const wanted = texts.map(text => {
    const at = text.indexOf('=')
    const key = at < 0 ? text : text.slice(0, at)
    const filter = Object.hasOwn(filters, key) ? filters[key] : undefined
    if (filter === undefined || at < 0) {
      const near = filter === undefined ? didYouMean(key, Object.keys(filters)) : ''
      const message = `read --filter ${JSON.stringify(text)}: must be KEY=VALUE${near}`
      throw new UsageError(message, `keys are ${Object.keys(filters).join(', ')}`)
    }
    return { key, fits: (row: Row) => filter(row, text.slice(at + 1)) }
  })
  const keys = [...new Set(wanted.map(one => one.key))]
  return row =>
    keys.every(key => {
      const same = wanted.filter(one => one.key === key)
      return key === 'label' ? same.every(one => one.fits(row)) : same.some(one => one.fits(row))
    })
}
