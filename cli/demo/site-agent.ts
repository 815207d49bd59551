/** `patchbay agent` as it is installed, on a host of a site, and what it tells of itself. */
import { existsSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import type { Site, SiteHost } from './site.ts'

export class SiteAgent {
  readonly #program: string
  readonly #site: Site
  readonly #host: SiteHost
  readonly #directory: string
  #process: { readonly pid?: number | undefined; kill: (signal: NodeJS.Signals) => boolean } | undefined
  #log = ''

  /** @param directory holds its configuration, agent.json, which has `http` at http.sock beside it */
  constructor(program: string, site: Site, host: SiteHost, directory: string) {
    this.#program = program
    this.#site = site
    this.#host = host
    this.#directory = directory
  }

  async start(): Promise<void> {
    const args = ['agent', '--config', join(this.#directory, 'agent.json')]
    this.#process = this.#site.start(this.#host, this.#program, args, text => {
      this.#log += text
    })
  }

  async whenUp(): Promise<void> {
    await this.start()
    await until(async () => (await this.#get('/healthz')).startsWith('ok'))
  }

  async stop(): Promise<void> {
    const pid = this.#process?.pid
    this.#process?.kill('SIGTERM')
    await until(() => !existsSync(`/proc/${pid}/exe`) || readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z '))
  }

  async metrics(): Promise<ReadonlyMap<string, number>> {
    const values = new Map<string, number>()
    for (const line of (await this.#get('/metrics')).split('\n')) {
      const cut = line.lastIndexOf(' ')
      if (!line.startsWith('#')) values.set(line.slice(0, cut), Number(line.slice(cut + 1)))
    }
    return values
  }

  /** Waits until a metric has a value. */
  async until(name: string, value: number): Promise<void> {
    await until(async () => ((await this.metrics()).get(name) ?? 0) >= value)
  }

  /** Processor time of half a minute in which nothing happens, which holds two comparisons. */
  async compareCost(): Promise<number> {
    const before = this.#processorMilliseconds()
    await pause(30_000)
    return (this.#processorMilliseconds() - before) / 2
  }

  #processorMilliseconds(): number {
    const fields = readFileSync(`/proc/${this.#process?.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    // utime and stime, in hundredths of a second
    return (Number(fields[11]) + Number(fields[12])) * 10
  }

  #get(path: string): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const asked = request({ socketPath: join(this.#directory, 'http.sock'), path }, response => {
      let text = ''
      response.on('data', chunk => {
        text += String(chunk)
      })
      response.on('end', () => resolve(text))
    })
    asked.on('error', reject)
    asked.end()
    return promise
  }
}

export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < 120_000; waited += 5) {
    try {
      if (await isSo()) return
    } catch {
      // Not yet.
    }
    await pause(5)
  }
  throw new Error('waited two minutes in vain')
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds))
}
