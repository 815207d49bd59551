/** The page of `patchbay ui`: follows the server's events, and shows the model that comes of them. */
import type { View } from '../../../lib/view/model.ts'
import { patched } from '../merge-patch.ts'
import { type Model, viewOf } from '../model.ts'
import { DetailsPanel } from './details.ts'
import { byId, setText } from './dom.ts'
import { GraphPanel } from './graph.ts'
import { containerKey, type GraphNode, graphOf, HOST } from './graph-model.ts'
import { History, rateIn } from './rates.ts'
import { drawHealth, drawHosts, drawServices, judgeOf, TrafficTables } from './tables.ts'

const VIEWS = ['map', 'traffic', 'services', 'hosts', 'health'] as const
type ViewName = (typeof VIEWS)[number]

class Page {
  readonly #history = new History()
  readonly #details = new DetailsPanel(() => this.#close())
  readonly #graph = new GraphPanel(node => this.#choose(node))
  readonly #tables = new TrafficTables(key => this.#open('namespace', key.split(' ')[0] ?? ''))
  readonly #find = byId('find') as HTMLInputElement
  #model: Model | undefined
  /** What is focused again when the details are closed. */
  #opener: Element | null = null

  start(): void {
    for (const one of document.querySelectorAll<HTMLElement>('[data-view]'))
      one.addEventListener('click', () => this.#show(one.dataset['view'] as ViewName))
    for (const one of document.querySelectorAll<HTMLElement>('[data-zoom]'))
      one.addEventListener('click', () => this.#zoom(one.dataset['zoom'] ?? ''))
    this.#find.addEventListener('input', () => this.#draw())
    document.addEventListener('keydown', event => this.#onKey(event))
    this.#listen()
  }

  #listen(): void {
    const events = new EventSource('events')
    events.addEventListener('model', event => this.#become(JSON.parse(event.data)))
    events.addEventListener('patch', event => this.#become(patched(this.#model, JSON.parse(event.data)) as Model))
    events.addEventListener('error', () => {
      const isOver = events.readyState === EventSource.CLOSED
      this.#say(isOver ? 'ended: open the address that patchbay ui prints now' : 'not connected, trying again', true)
    })
  }

  #become(model: Model): void {
    this.#model = model
    this.#history.add(model.view.readAt, model.traffic.container)
    this.#draw()
  }

  #draw(): void {
    const model = this.#model
    if (model === undefined) return
    const view = viewOf(model.view)
    const { findings } = model.health
    setText(byId('host'), view.host)
    document.title = `${view.host}: container networks`
    this.#say(model.trouble === '' ? 'live' : model.trouble, model.trouble !== '')
    const count = byId('count')
    setText(count, findings.length === 0 ? '' : String(findings.length))
    count.className = findings[0]?.severity ?? ''
    this.#graph.update(graphOf(view), keys => rateIn(model.traffic.container, keys))
    const judge = judgeOf(this.#find.value)
    const onMap = this.#graph.find(node => judge(node.words))
    const inTables = this.#tables.update(model.traffic, judge)
    const inHosts = this.#drawHosts(view.cluster, judge)
    const found = !byId('hosts').hidden ? inHosts : byId('traffic').hidden ? onMap : inTables
    setText(byId('found'), this.#find.value.trim() === '' ? '' : `${String(found)} found`)
    drawServices(model.view.services, name => this.#open('service', name))
    drawHealth(model)
    this.#details.update(view, this.#history)
  }

  /** Where other hosts were asked for. @returns how many rows fit */
  #drawHosts(cluster: View['cluster'], judge: (words: string) => boolean): number {
    for (const one of document.querySelectorAll<HTMLElement>('[data-view=hosts]')) one.hidden = cluster === undefined
    return cluster === undefined ? 0 : drawHosts(cluster, judge)
  }

  #say(text: string, isBad: boolean): void {
    const state = byId('state')
    setText(state, text)
    state.className = isBad ? 'bad' : ''
  }

  #choose(node: GraphNode): void {
    if (node.kind === 'service') this.#open('service', node.key.replace(/^service /, ''))
    else this.#open('namespace', node.namespace)
    this.#graph.chosen(node.key)
  }

  #open(kind: 'namespace' | 'service', id: string): void {
    this.#opener = document.activeElement
    this.#details.open({ kind, id })
    const isHost = this.#model?.view.namespaces[id]?.isHost === true
    this.#graph.chosen(kind === 'service' ? `service ${id}` : isHost ? HOST : containerKey(id))
    this.#draw()
  }

  #close(): void {
    this.#details.open(undefined)
    this.#graph.chosen('')
    if (this.#opener instanceof HTMLElement) this.#opener.focus()
  }

  #show(name: ViewName): void {
    for (const view of VIEWS) byId(view).hidden = view !== name
    for (const one of document.querySelectorAll<HTMLElement>('[data-view]')) {
      if (one.dataset['view'] === name) one.setAttribute('aria-current', 'page')
      else one.removeAttribute('aria-current')
    }
    this.#draw()
  }

  #zoom(how: string): void {
    if (how === 'fit') this.#graph.fit()
    else this.#graph.zoomBy(how === 'in' ? 1.3 : 1 / 1.3)
  }

  #onKey(event: KeyboardEvent): void {
    if (event.key === 'Escape' && this.#details.choice !== undefined) this.#close()
    if (event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey || event.altKey) return
    if (event.key === '/') {
      event.preventDefault()
      this.#find.focus()
    }
    if (event.key === '+') this.#zoom('in')
    if (event.key === '-') this.#zoom('out')
    if (event.key === '0') this.#zoom('fit')
  }
}

new Page().start()
