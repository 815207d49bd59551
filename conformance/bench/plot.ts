/** How cost grows, as SVG: one line per contestant, both axes logarithmic except where a value is 0. */
import { type BenchReport, milliseconds, sampleIn } from './report.ts'

interface Series {
  readonly name: string
  readonly points: readonly (readonly [number, number])[]
}

const COLOURS = ['#8a8f98', '#0b7a75', '#c8553d', '#4361ee', '#9b5de5']
const WIDTH = 640
const HEIGHT = 360
const LEFT = 64
const RIGHT = 120
const TOP = 40
const BOTTOM = 48

/** 0 has its place left of 1. */
function logarithm(value: number): number {
  return value <= 0 ? -0.6 : Math.log10(value)
}

/** The powers of ten and their halves that a range of times needs. */
function timeTicks(low: number, high: number): readonly number[] {
  const ticks: number[] = []
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const factor of [1, 3]) ticks.push(factor * 10 ** power)
  }
  return ticks.filter(tick => tick >= low / 3.4 && tick <= high * 3.4)
}

export function linePlot(title: string, xTitle: string, series: readonly Series[]): string {
  const points = series.flatMap(one => one.points)
  const xs = [...new Set(points.map(([x]) => x))].sort((a, b) => a - b)
  const times = points.map(([, y]) => y)
  const ticks = timeTicks(Math.min(...times), Math.max(...times))
  const [xLow, xHigh] = [logarithm(xs[0] ?? 0), logarithm(xs.at(-1) ?? 1)]
  const [yLow, yHigh] = [Math.log10(Math.min(...times, ...ticks)), Math.log10(Math.max(...times, ...ticks))]
  const x = (value: number) => LEFT + ((logarithm(value) - xLow) / (xHigh - xLow || 1)) * (WIDTH - LEFT - RIGHT)
  const y = (value: number) =>
    HEIGHT - BOTTOM - ((Math.log10(value) - yLow) / (yHigh - yLow || 1)) * (HEIGHT - TOP - BOTTOM)
  const text = (at: readonly [number, number], anchor: string, content: string) =>
    `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" text-anchor="${anchor}">${content}</text>`
  const grid = ticks.map(
    tick =>
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(tick).toFixed(1)}" y2="${y(tick).toFixed(1)}" stroke="#e3e6ea"/>` +
      text([LEFT - 8, y(tick) + 4], 'end', milliseconds(tick).replace(/\.?0+$/, ''))
  )
  const lines = series.map((one, index) => {
    const colour = COLOURS[index % COLOURS.length]
    const path = one.points.map(([px, py]) => `${x(px).toFixed(1)},${y(py).toFixed(1)}`).join(' ')
    const dots = one.points.map(
      ([px, py]) => `<circle cx="${x(px).toFixed(1)}" cy="${y(py).toFixed(1)}" r="3.5" fill="${colour}"/>`
    )
    const last = one.points.at(-1) ?? [0, 1]
    const label = text([WIDTH - RIGHT + 10, y(last[1]) + 4], 'start', one.name)
    return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>${dots.join('')}<g fill="${colour}">${label}</g>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="#30343a">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    `<g font-size="15" font-weight="600">${text([LEFT, 24], 'start', title)}</g>`,
    ...grid,
    ...xs.map(value => text([x(value), HEIGHT - BOTTOM + 20], 'middle', String(value))),
    text([(LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8], 'middle', xTitle),
    text([LEFT - 8, TOP - 6], 'end', 'ms'),
    ...lines,
    '</svg>',
    ''
  ].join('\n')
}

const PLOTS = [
  { file: 'leases.svg', prefix: 'leases-', measure: 'ADD', title: 'host-local ADD among leases', x: 'leases present' },
  {
    file: 'mappings.svg',
    prefix: 'mappings-',
    measure: 'ADD',
    title: 'portmap ADD among mappings',
    x: 'mappings present'
  },
  {
    file: 'parallel.svg',
    prefix: 'parallel-',
    measure: 'ADD',
    title: 'bridge ADDs started at once, until the last is done',
    x: 'at once'
  }
]

/** File names and contents of the plots that the report has data for. */
export function plots(report: BenchReport): readonly (readonly [string, string])[] {
  return PLOTS.flatMap(({ file, prefix, measure, title, x }) => {
    const ids = report.results.map(({ id }) => id).filter(id => id.startsWith(prefix))
    const series = report.contestants.map(({ name }) => ({
      name,
      points: ids.flatMap(id => {
        const sample = sampleIn(report.results, id, name, measure)
        return sample === undefined ? [] : [[Number(id.slice(prefix.length)), sample.median] as const]
      })
    }))
    const drawn = series.filter(({ points }) => points.length > 0)
    return drawn.length === 0 || ids.length < 2 ? [] : [[file, linePlot(title, x, drawn)] as const]
  })
}
