/** How cost grows, as SVG: one line per contestant, both axes logarithmic, with a place for 0. */
import type { BenchReport } from './measurements.ts'
import { countOf, milliseconds, sampleIn } from './tables.ts'

interface Series {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

interface PlotTexts {
  readonly title: string
  readonly x: string
  readonly y: string
}

const WIDTH = 640
const HEIGHT = 360
const LEFT = 64
const RIGHT = 104
const TOP = 52
const BOTTOM = 48

/** What a reader's light or dark browser sees. Lines differ in hue and in lightness, and each bears its name. */
interface Palette {
  readonly ground: string
  readonly ink: string
  readonly grid: string
  readonly lines: readonly string[]
}

const LIGHT: Palette = {
  ground: '#ffffff',
  ink: '#1f2328',
  grid: '#d8dee4',
  lines: ['#6e7781', '#0a7d72', '#bc4c2d', '#3d5bd9', '#8250df']
}
const DARK: Palette = {
  ground: '#0d1117',
  ink: '#e6edf3',
  grid: '#30363d',
  lines: ['#9198a1', '#3fc7b8', '#f0906f', '#8fa3ff', '#c297ff']
}

/** Without variables: not every program that draws SVG knows them. */
function rules({ ground, ink, grid, lines }: Palette): string {
  const ofLines = lines.map(
    (line, index) => `.s${index} circle, .s${index} text { fill: ${line} } .s${index} polyline { stroke: ${line} }`
  )
  return [`.ground { fill: ${ground} } text { fill: ${ink} } .grid { stroke: ${grid} }`, ...ofLines].join('\n')
}

/** A plot brings its own ground, so it can be read on any page. */
const STYLE = `polyline { fill: none; stroke-width: 2 } .title { font-size: 15px; font-weight: 600 }
${rules(LIGHT)}
@media (prefers-color-scheme: dark) {
${rules(DARK)}
}`

/** 0 has its place left of 1, as far as 4 is from it. */
function logarithm(value: number): number {
  return value <= 0 ? -0.6 : Math.log10(value)
}

/** 1, 3, 10, 30, ... as far as a range of values needs them. */
export function ticksOf(low: number, high: number): readonly number[] {
  const ticks: number[] = []
  for (let power = Math.floor(Math.log10(low)) - 1; power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const factor of [1, 3]) ticks.push(Number(`${factor}e${power}`))
  }
  const from = ticks.findLastIndex(tick => tick <= low)
  const to = ticks.findIndex(tick => tick >= high)
  return ticks.slice(Math.max(0, from), to < 0 ? ticks.length : to + 1)
}

/** Heights that are at least a line apart, in the same order, as near to where they were as can be. */
export function apart(heights: readonly number[], gap: number): readonly number[] {
  const order = heights.map((height, index) => ({ height, index })).sort((a, b) => a.height - b.height)
  const placed: number[] = []
  let next = -Infinity
  for (const { height, index } of order) {
    const at = Math.max(height, next)
    placed[index] = at
    next = at + gap
  }
  return placed
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

/** 5,000 and 10,000 lie close together on the axis. */
function shortCount(value: number): string {
  return value >= 1000 ? `${value / 1000}k` : String(value)
}

const at = (value: number): string => value.toFixed(1)

function label([x, y]: readonly [number, number], anchor: string, text: string, kind = ''): string {
  return `<text x="${at(x)}" y="${at(y)}" text-anchor="${anchor}"${kind}>${escaped(text)}</text>`
}

function linePlot(texts: PlotTexts, series: readonly Series[]): string {
  const points = series.flatMap(one => one.points)
  const xs = [...new Set(points.map(([x]) => x))].sort((a, b) => a - b)
  const values = points.map(([, y]) => y)
  const ticks = ticksOf(Math.min(...values), Math.max(...values))
  const [xLow, xHigh] = [logarithm(xs[0] ?? 0), logarithm(xs.at(-1) ?? 1)]
  const [yLow, yHigh] = [Math.log10(ticks[0] ?? 1), Math.log10(ticks.at(-1) ?? 10)]
  const x = (value: number) =>
    LEFT + 12 + ((logarithm(value) - xLow) / (xHigh - xLow || 1)) * (WIDTH - LEFT - RIGHT - 24)
  const y = (value: number) =>
    HEIGHT - BOTTOM - ((Math.log10(value) - yLow) / (yHigh - yLow || 1)) * (HEIGHT - TOP - BOTTOM)
  const grid = ticks.map(
    tick =>
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at(y(tick))}" y2="${at(y(tick))}"/>` +
      label([LEFT - 8, y(tick) + 4], 'end', String(tick))
  )
  const names = apart(
    series.map(one => y(one.points.at(-1)?.[1] ?? 1)),
    14
  )
  const lines = series.map((one, index) => {
    const path = one.points.map(([px, py]) => `${at(x(px))},${at(y(py))}`).join(' ')
    const dots = one.points.map(
      ([px, py]) =>
        `<circle cx="${at(x(px))}" cy="${at(y(py))}" r="3.5"><title>${px}: ${milliseconds(py)} ms</title></circle>`
    )
    const name = label([WIDTH - RIGHT + 8, (names[index] ?? 0) + 4], 'start', one.name)
    return `<g class="s${index % LIGHT.lines.length}"><polyline points="${path}"/>${dots.join('')}${name}</g>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="${escaped(texts.title)}">`,
    `<style>${STYLE}</style>`,
    `<rect class="ground" width="${WIDTH}" height="${HEIGHT}"/>`,
    label([12, 22], 'start', texts.title, ' class="title"'),
    label([12, TOP - 10], 'start', texts.y),
    ...grid,
    ...xs.map(value => label([x(value), HEIGHT - BOTTOM + 20], 'middle', shortCount(value))),
    label([(LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8], 'middle', texts.x),
    ...lines,
    '</svg>',
    ''
  ].join('\n')
}

const PLOTS: readonly (PlotTexts & { readonly group: string })[] = [
  { group: 'leases', title: 'host-local ADD among leases of others', x: 'leases present', y: 'milliseconds' },
  { group: 'mappings', title: 'portmap ADD among mappings of others', x: 'mappings present', y: 'milliseconds' },
  {
    group: 'parallel',
    title: 'bridge ADDs started at once, until the last is done',
    x: 'ADDs at once',
    y: 'milliseconds'
  }
]

/** Groups of scenarios that have a plot. */
export const DRAWN: readonly string[] = PLOTS.map(({ group }) => group)

/** File names and contents of the plots that the report has data for. */
export function plots(report: BenchReport): readonly (readonly [string, string])[] {
  return PLOTS.flatMap(({ group, ...texts }) => {
    const results = report.results.filter(result => result.group === group)
    const series = report.contestants.map(({ name }) => ({
      name,
      points: results.flatMap(result => {
        const sample = sampleIn(report.results, result.id, name, 'ADD')
        return sample === undefined ? [] : [[countOf(result), sample.median] as const]
      })
    }))
    const drawn = series.filter(({ points }) => points.length > 0)
    return drawn.length === 0 || results.length < 2 ? [] : [[`${group}.svg`, linePlot(texts, drawn)] as const]
  })
}
