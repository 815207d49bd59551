/** `patchbay agent` on a host of an overlay lab. */
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { LabHost, OverlayLab } from './overlay-lab.ts'
import { patchbayProgram } from './program.ts'

export class LabAgent {
  readonly host: LabHost
  readonly socket: string
  readonly #lab: OverlayLab
  readonly #config: string
  readonly #launcher: readonly string[]
  #process: ChildProcess
  /** What it has printed. */
  log = ''

  /**
   * @param registry the configuration's `etcd` or `file`
   * @param launcher a program and its arguments that start it
   */
  constructor(lab: OverlayLab, host: LabHost, registry: object, launcher: readonly string[] = []) {
    this.#launcher = launcher
    this.host = host
    this.#lab = lab
    this.socket = join(host.directory, 'agent.sock')
    this.#config = join(host.directory, 'agent.json')
    mkdirSync(host.directory, { recursive: true })
    const config = {
      host: `h${host.number}`,
      socket: this.socket,
      stateDir: join(host.directory, 'agent'),
      pluginStateDir: join(host.directory, 'state'),
      confDir: join(host.directory, 'net.d'),
      registryDir: join(host.directory, 'registry'),
      http: `unix:${this.#http}`,
      compareSeconds: 5,
      encryption: { directory: join(host.directory, 'keys') },
      ...registry
    }
    writeFileSync(this.#config, JSON.stringify(config))
    this.#process = this.#start()
    lab.journals.push(() => this.log.replaceAll(/^(?=.)/gm, `host ${host.number}: `))
  }

  get #http(): string {
    return join(this.host.directory, 'http.sock')
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  #start(): ChildProcess {
    const [program = '', ...args] = [...this.#launcher, ...patchbayProgram(), 'agent', '--config', this.#config]
    const child = this.#lab.run(this.host.namespace, program, args)
    child.stderr?.on('data', chunk => {
      this.log += String(chunk)
    })
    child.stdout?.resume()
    return child
  }

  /** As a crash does. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const gone = new Promise(resolve => this.#process.once('exit', resolve))
    this.#process.kill(signal)
    await gone
  }

  restart(): void {
    this.#process = this.#start()
  }

  /** Asks as a plugin does. */
  ask(question: object): Promise<{ readonly ok: boolean; readonly code?: number; readonly msg?: string }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ readonly ok: boolean }>()
    const socket = connect(this.socket)
    let text = ''
    socket.on('connect', () => socket.write(`${JSON.stringify(question)}\n`))
    socket.on('data', chunk => {
      text += String(chunk)
    })
    socket.on('error', reject)
    socket.on('end', () => resolve(JSON.parse(text)))
    return promise
  }

  /** `/healthz` or `/metrics`. */
  get(path: string): Promise<{ readonly status: number; readonly text: string }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ readonly status: number; readonly text: string }>()
    const asked = request({ socketPath: this.#http, path }, response => {
      let text = ''
      response.on('data', chunk => {
        text += String(chunk)
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    asked.on('error', reject)
    asked.end()
    return promise
  }

  async metric(name: string): Promise<number> {
    const { text } = await this.get('/metrics')
    return Number(
      text
        .split('\n')
        .find(line => line.startsWith(`${name} `))
        ?.split(' ')[1] ?? NaN
    )
  }

  async whenReady(): Promise<void> {
    const isReady = async (): Promise<boolean> =>
      this.#process.exitCode !== null || (await this.ask({ do: 'status' })).ok
    await until(`agent of host ${this.host.number}`, isReady).catch(error => {
      throw new Error(`${error.message}\n${this.log}`)
    })
    if (this.#process.exitCode !== null) throw new Error(`the agent of host ${this.host.number} ended\n${this.log}`)
  }
}

const PAUSE_MS = 10
/** An emulated machine takes longer for everything: the gate says how much. */
const PATIENCE_MS = 60_000 * Number(process.env['PATCHBAY_SLOWNESS'] ?? 1)

/**
 * Waits until `isSo` is true; what throws is not so yet. The time it may take says only when waiting is in vain: how fast
 * something is, is judged by what comes back.
 *
 * @returns milliseconds it took
 */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  milliseconds = PATIENCE_MS
): Promise<number> {
  const started = performance.now()
  for (;;) {
    const asked = performance.now()
    try {
      if (await isSo()) return performance.now() - started
    } catch {
      // Not yet.
    }
    if (performance.now() - started > milliseconds) throw new Error(`waited ${milliseconds} ms in vain for: ${what}`)
    // Half of the time at least is for what is waited for: emulated, a look at tables takes a processor a quarter of a second.
    await new Promise(resolve => setTimeout(resolve, Math.max(PAUSE_MS, performance.now() - asked)))
  }
}
