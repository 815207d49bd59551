/** Numbers about the agent, in the text format of Prometheus. @source Prometheus exposition formats, text 0.0.4 */

interface Metric {
  readonly type: 'gauge' | 'counter'
  readonly help: string
  readonly read: () => number
}

export class Metrics {
  readonly #metrics = new Map<string, Metric>()
  readonly #series = new Map<string, { readonly help: string; readonly read: () => ReadonlyMap<string, number> }>()
  /** With labels, as `name{label="value"}`. */
  readonly #counts = new Map<string, number>()

  gauge(name: string, help: string, read: () => number): void {
    this.#metrics.set(name, { type: 'gauge', help, read })
  }

  counter(name: string, help: string, read: () => number): void {
    this.#metrics.set(name, { type: 'counter', help, read })
  }

  /** A counter of which there are as many as `read` tells of, by their labels: `label="value"`. */
  series(name: string, help: string, read: () => ReadonlyMap<string, number>): void {
    this.#series.set(name, { help, read })
  }

  /** Adds to a counter with labels. */
  add(series: string, count = 1): void {
    this.#counts.set(series, (this.#counts.get(series) ?? 0) + count)
  }

  count(series: string): number {
    return this.#counts.get(series) ?? 0
  }

  text(): string {
    const lines: string[] = []
    for (const [name, { type, help, read }] of this.#metrics) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, `${name} ${read()}`)
    }
    for (const [name, { help, read }] of this.#series) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} counter`)
      for (const [labels, count] of read()) lines.push(`${name}{${labels}} ${count}`)
    }
    let before = ''
    for (const [series, count] of [...this.#counts].sort()) {
      const name = series.split('{')[0] ?? ''
      if (name !== before) lines.push(`# TYPE ${name} counter`)
      before = name
      lines.push(`${series} ${count}`)
    }
    return `${lines.join('\n')}\n`
  }
}
