/** The traffic of an interface over the last minutes. */
import uPlot from 'uplot'
import { sizeText } from '../../top/size-text.ts'
import type { Course } from './rates.ts'

const HEIGHT = 130

export class TrafficChart {
  readonly element = document.createElement('div')
  readonly #plot: uPlot

  constructor(name: string, course: Course) {
    this.element.className = 'chart'
    this.element.setAttribute('role', 'img')
    this.element.setAttribute('aria-label', name)
    const colour = (variable: string): string => getComputedStyle(document.body).getPropertyValue(variable)
    const axis = { stroke: colour('--soft'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false } }
    this.#plot = new uPlot(
      {
        width: 300,
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: (_plot, _least, most) => [0, Math.max(1, most)] } },
        axes: [
          { ...axis, space: 70 },
          { ...axis, size: 56, values: (_plot, ticks) => ticks.map(tick => sizeText(tick)) }
        ],
        series: [{}, line('received', colour('--rx')), line('sent', colour('--tx'))]
      },
      dataOf(course),
      this.element
    )
    new ResizeObserver(([entry]) => {
      if (entry !== undefined && entry.contentRect.width > 0)
        this.#plot.setSize({ width: entry.contentRect.width, height: HEIGHT })
    }).observe(this.element)
  }

  update(course: Course): void {
    this.#plot.setData(dataOf(course))
  }

  close(): void {
    this.#plot.destroy()
  }
}

function line(label: string, stroke: string): uPlot.Series {
  return { label, stroke, width: 2, points: { show: false } }
}

function dataOf({ at, rx, tx }: Course): uPlot.AlignedData {
  return [[...at], [...rx], [...tx]]
}
