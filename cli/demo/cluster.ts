/** etcd on a site's switch and `patchbay agent` on its hosts, each in a directory of its own. */
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { CENTER, type Site, type SiteHost } from './site.ts'
import { until } from './site-agent.ts'

const ETCD_PORT = 2379

/** Where etcd listens. */
export const ETCD_URL = `http://${CENTER}:${ETCD_PORT}`

export class Cluster {
  readonly #program: string
  readonly #site: Site
  readonly #directory: string
  #log = ''

  /** @param program patchbay as it is installed */
  constructor(program: string, site: Site, directory: string) {
    this.#program = program
    this.#site = site
    this.#directory = directory
  }

  /** What etcd and the agents have said, for when something goes wrong. */
  get log(): string {
    return this.#log
  }

  /** A host's directory: its agent's, and the one in which runtimes find networks. */
  place(host: SiteHost): string {
    return join(this.#directory, host.name)
  }

  /** The agent's socket. */
  socket(host: SiteHost): string {
    return join(this.place(host), 'agent.sock')
  }

  async startEtcd(): Promise<void> {
    const peer = 'http://127.0.0.1:2380'
    const args = ['--data-dir', join(this.#directory, 'etcd'), '--log-level', 'error']
    args.push('--listen-client-urls', ETCD_URL, '--advertise-client-urls', ETCD_URL)
    args.push('--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`)
    this.#site.start(undefined, 'etcd', args, text => this.#note(text))
    await this.wait('etcd answers', () => canConnect({ host: CENTER, port: ETCD_PORT }))
  }

  /** @param config of the agent, beside host and places */
  async startAgent(host: SiteHost, config: object): Promise<ChildProcess> {
    const directory = this.place(host)
    mkdirSync(directory, { recursive: true })
    const file = join(directory, 'agent.json')
    const places = { socket: this.socket(host), stateDir: join(directory, 'agent'), confDir: directory }
    writeFileSync(file, JSON.stringify({ host: host.name, ...places, ...config }))
    const agent = this.#site.start(host, this.#program, ['agent', '--config', file], text => this.#note(text))
    await this.wait(`the agent on ${host.name} listens`, () => canConnect({ path: this.socket(host) }))
    return agent
  }

  /** @throws Error with the log when it does not become so */
  async wait(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    await until(isSo).catch(() => {
      throw new Error(`waited in vain until ${what}\n${this.#log}`)
    })
  }

  #note(text: string): void {
    this.#log += text
  }
}

function canConnect(
  where: { readonly path: string } | { readonly host: string; readonly port: number }
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect({ ...where, timeout: 500 })
  socket.on('connect', () => resolve(true))
  socket.on('error', () => resolve(false))
  socket.on('timeout', () => resolve(false))
  return promise.finally(() => socket.destroy())
}
