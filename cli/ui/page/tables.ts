/** Everything as tables: for who reads lists, by a screen reader too, and for sorting. */
import { select } from 'd3-selection'
import type { ClusterHostView, EndpointView } from '../../../lib/view/model.ts'
import { visible } from '../../../lib/view/visible.ts'
import { servicePortTexts, UNICODE_SIGNS } from '../../map/texts.ts'
import type { By } from '../../top/reading.ts'
import { sizeText } from '../../top/size-text.ts'
import type { Model, TrafficRow } from '../model.ts'
import { button, byId, element, setText } from './dom.ts'

interface Column {
  readonly heading: string
  readonly value: (row: TrafficRow) => number | string
  readonly text: (row: TrafficRow) => string
}

const text = (heading: string, value: (row: TrafficRow) => string): Column => ({ heading, value, text: value })
const number = (heading: string, value: (row: TrafficRow) => number, shown: (value: number) => string): Column => ({
  heading,
  value,
  text: row => shown(value(row))
})

const NAME = text('name', row => row.name)
const NETWORK = text('network', row => row.network)
const RATES: readonly Column[] = [
  number(
    'received/s',
    row => row.rates.rxBytes,
    value => `${sizeText(value)}B`
  ),
  number(
    'sent/s',
    row => row.rates.txBytes,
    value => `${sizeText(value)}B`
  ),
  number('packets/s', row => row.rates.rxPackets + row.rates.txPackets, String),
  number('drops/s', row => row.rates.rxDropped + row.rates.txDropped, String),
  number('connections', row => row.connections, String)
]

const TABLES: Readonly<Record<By, { readonly title: string; readonly columns: readonly Column[] }>> = {
  container: { title: 'Containers', columns: [NAME, NETWORK, text('interface', row => row.detail), ...RATES] },
  network: { title: 'Networks', columns: [NAME, text('on it', row => row.detail), ...RATES] },
  port: { title: 'Published ports', columns: [NAME, NETWORK, text('leads to', row => row.detail), ...RATES] }
}

type Row = readonly [key: string, row: TrafficRow]

/** The three tables of traffic. */
export class TrafficTables {
  readonly #tables: readonly TrafficTable[]

  /** @param onChoose gets the key of a container's traffic */
  constructor(onChoose: (key: string) => void) {
    const root = byId('traffic')
    this.#tables = (['container', 'network', 'port'] as const).map(
      by => new TrafficTable(root, by, by === 'container' ? onChoose : undefined)
    )
  }

  update(traffic: Model['traffic'], fits: (words: string) => boolean): number {
    return this.#tables.reduce((sum, table) => sum + table.update(traffic, fits), 0)
  }
}

class TrafficTable {
  readonly #by: By
  readonly #columns: readonly Column[]
  readonly #onChoose: ((key: string) => void) | undefined
  readonly #head = element('tr', '')
  readonly #body = element('tbody', '')
  readonly #none = element('p', 'none', 'none')
  #sorted = 0
  #rows: readonly Row[] = []

  constructor(root: HTMLElement, by: By, onChoose: ((key: string) => void) | undefined) {
    const { title, columns } = TABLES[by]
    this.#by = by
    this.#columns = columns
    this.#onChoose = onChoose
    for (const [i, column] of columns.entries()) {
      const heading = element('th', '')
      heading.scope = 'col'
      heading.append(button('sort', column.heading, () => this.#sortBy(i)))
      this.#head.append(heading)
    }
    const table = element('table', '', element('caption', '', title), element('thead', '', this.#head), this.#body)
    root.append(element('div', 'wide', table, this.#none))
    this.#sortBy(0)
  }

  update(traffic: Model['traffic'], fits: (words: string) => boolean): number {
    this.#rows = Object.entries(traffic[this.#by]).filter(([, row]) =>
      fits([row.name, row.network, row.detail].join(' ').toLowerCase())
    )
    this.#draw()
    return this.#rows.length
  }

  #sortBy(place: number): void {
    this.#sorted = place
    for (const [i, heading] of [...this.#head.children].entries())
      heading.setAttribute('aria-sort', i !== place ? 'none' : isNumber(this.#columns[i]) ? 'descending' : 'ascending')
    this.#draw()
  }

  #draw(): void {
    const column = this.#columns[this.#sorted] ?? NAME
    const rows = [...this.#rows].sort((a, b) => order(column.value(a[1]), column.value(b[1])) || (a[0] < b[0] ? -1 : 1))
    this.#none.hidden = rows.length > 0
    select(this.#body)
      .selectAll<HTMLTableRowElement, Row>('tr')
      .data(rows, ([key]) => key)
      .join(enter => enter.append(([key]) => this.#rowFor(key)))
      .order()
      .each(([, row], i, elements) => {
        this.#columns.forEach((one, cell) => {
          const place = elements[i]?.cells[cell]
          if (place !== undefined) setText(place.firstElementChild ?? place, one.text(row) || '-')
        })
      })
  }

  #rowFor(key: string): HTMLTableRowElement {
    const choose = this.#onChoose
    const cells = this.#columns.map((column, i) => {
      const cell = element('td', isNumber(column) ? 'number' : '')
      if (i === 0 && choose !== undefined) cell.append(button('open', '', () => choose(key)))
      return cell
    })
    return element('tr', '', ...cells)
  }
}

function isNumber(column: Column | undefined): boolean {
  return column !== undefined && RATES.includes(column)
}

/** Numbers from above, texts from A to Z. */
function order(a: number | string, b: number | string): number {
  if (typeof a === 'number' && typeof b === 'number') return b - a
  return String(a) === String(b) ? 0 : String(a) < String(b) ? -1 : 1
}

/** A table of services, each a button that shows all about it. */
export function drawServices(services: Model['view']['services'], onChoose: (name: string) => void): void {
  const all = Object.values(services).sort((a, b) => order(a.name, b.name))
  replaceWhenChanged(byId('services'), JSON.stringify(all), () => {
    const headings = ['name', 'network', 'addresses', 'published', 'members']
    const head = element('tr', '', ...headings.map(heading => element('th', '', heading)))
    const rows = all.map(one =>
      element(
        'tr',
        '',
        element(
          'td',
          '',
          button('open', one.name, () => onChoose(one.name))
        ),
        ...[
          one.network,
          one.addresses.join(' ') || one.mode,
          servicePortTexts(one, UNICODE_SIGNS).join(', ') || '-',
          `${String(one.members.filter(member => !member.isAway).length)} of ${String(one.members.length)}`
        ].map(cell => element('td', '', cell))
      )
    )
    const table = element(
      'table',
      '',
      element('caption', '', 'Services'),
      element('thead', '', head),
      element('tbody', '', ...rows)
    )
    return all.length === 0
      ? [element('p', 'none', 'No services, or no agent that has them: patchbay service create makes one.')]
      : [element('div', 'wide', table)]
  })
}

/** A row for each container of the cluster, and one for each host without any. */
export function drawHosts(hosts: readonly ClusterHostView[], fits: (words: string) => boolean): number {
  const rows = hosts
    .flatMap(host => (host.endpoints.length === 0 ? [hostRow(host)] : host.endpoints.map(one => hostRow(host, one))))
    .filter(row => fits(row.join(' ').toLowerCase()))
  replaceWhenChanged(byId('hosts'), JSON.stringify(rows), () => {
    const headings = ['host', 'its agent', 'container', 'names', 'network', 'addresses', 'MAC', 'host address']
    const head = element('tr', '', ...headings.map(heading => element('th', '', heading)))
    const lines = rows.map(row => element('tr', '', ...row.map(cell => element('td', '', cell))))
    const caption = element('caption', '', 'Containers of the cluster')
    const table = element('table', '', caption, element('thead', '', head), element('tbody', '', ...lines))
    return [element('div', 'wide', table, ...(rows.length === 0 ? [element('p', 'none', 'none')] : []))]
  })
  return rows.length
}

function hostRow({ name, isPresent }: ClusterHostView, endpoint?: EndpointView): readonly string[] {
  const state = isPresent ? 'there' : 'away'
  if (endpoint === undefined) return [name, state, '-', '-', '-', '-', '-', '-']
  const { containerId, ifName, names, network, vni, addresses, mac, underlay } = endpoint
  return [
    name,
    state,
    `${containerId} (${ifName})`,
    names.join(' ') || '-',
    `${network}, VNI ${String(vni)}`,
    addresses.join(' '),
    mac || '-',
    underlay
  ].map(cell => visible(cell))
}

/** What doctor found, worst first as it says it, and what could not be read. */
export function drawHealth({ health, view, trouble }: Model): void {
  const problems = [...(trouble === '' ? [] : [trouble]), ...view.problems]
  replaceWhenChanged(byId('health'), JSON.stringify([health, problems]), () => [
    element(
      'h2',
      '',
      health.checkedAt === '' ? 'Looking …' : health.findings.length === 0 ? 'Nothing is wrong' : 'What is wrong'
    ),
    ...health.findings.map(({ severity, what, check, evidence, remedy }) =>
      element(
        'article',
        severity,
        element('h3', '', `${severity}: ${what}`),
        element('ul', '', ...evidence.map(line => element('li', '', line))),
        element('p', 'remedy', remedy),
        element('p', 'check', `patchbay doctor --check ${check}`)
      )
    ),
    ...problems.map(problem => element('p', 'bad', problem)),
    ...(health.checkedAt === '' ? [] : [element('p', 'check', `looked at ${health.checkedAt}`)])
  ])
}

/** A reader's place in a list, and the focus, stay as long as nothing else is in it. */
function replaceWhenChanged(root: HTMLElement, content: string, make: () => readonly Node[]): void {
  if (root.dataset['content'] === content) return
  root.dataset['content'] = content
  root.replaceChildren(...make())
}

/** The words of a search as a judge of texts in small letters. */
export function judgeOf(search: string): (words: string) => boolean {
  const wanted = visible(search)
    .toLowerCase()
    .split(/\s+/)
    .filter(word => word !== '')
  return words => wanted.every(word => words.includes(word))
}
