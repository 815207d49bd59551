/** README.md's table of what a release takes. */

export interface ReleaseFigures {
  readonly version: string
  /** How often each was installed. */
  readonly runs: number
  readonly date: string
  readonly machine: string
  readonly forms: readonly {
    readonly form: string
    /** Bytes to fetch. */
    readonly bytes: number
    /** Bytes on disk once it is installed. */
    readonly disk: number
    readonly seconds: number
  }[]
}

export function figuresTable({ version, runs, date, machine, forms }: ReleaseFigures): string {
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)
  const rows = forms.map(
    ({ form, bytes, disk, seconds }) =>
      `| ${form} | ${megabytes(bytes)} | ${megabytes(disk)} | ${seconds.toFixed(seconds < 1 ? 2 : 1)} |`
  )
  return [
    `Version ${version}; installed into a root of its own, medians of ${runs}; ${machine}, ${date}.`,
    '',
    '| form | fetched MB | installed MB | seconds |',
    '|---|--:|--:|--:|',
    ...rows
  ].join('\n')
}
