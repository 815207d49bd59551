/**
 * Published ports that a host does not have, because a container there has them. Each host tells all others, so that nobody has
 * to look into every log:
 *
 *     port-conflicts/<service>/<host>    [{ "port": 8001, "protocol": "tcp", "owner": "blue c7 eth0" }]
 */
import { jsonObject, jsonText, parseJson } from '../../lib/config/json.ts'
import { jsonOf } from '../../lib/config/plain-json.ts'
import { Section } from '../../lib/config/section.ts'
import { messageOf } from '../../lib/sys/errors.ts'
import { type Following, PORT_CONFLICTS, type Registry } from '../registry.ts'
import { type Published, portText, protocolName, protocolNumber } from './record.ts'

/** A port that somebody else has. */
export interface PortConflict extends Pick<Published, 'port' | 'protocol'> {
  /** As portmap names it: `<network> <containerID> <ifname>`. */
  readonly owner: string
}

/** On which host. */
export interface HostConflict extends PortConflict {
  readonly host: string
}

export interface ConflictsOptions {
  readonly host: string
  readonly registry: Registry
  readonly log: (message: string) => void
}

const LONGEST_VALUE = 64 * 1024
const MOST = 256
/** What the registry may take where nobody waits, ms. */
const PUT_MS = 9000

export class PortConflicts {
  readonly #options: ConflictsOptions
  /** By service. */
  readonly #own = new Map<string, readonly PortConflict[]>()
  /** By service and host. */
  readonly #others = new Map<string, readonly PortConflict[]>()
  #following: Following | undefined

  constructor(options: ConflictsOptions) {
    this.#options = options
  }

  start(): void {
    this.#following = this.#options.registry.follow(PORT_CONFLICTS, {
      reset: (entries, keepRest) => {
        const present = new Set(entries.map(one => one.name))
        if (!keepRest) for (const name of [...this.#others.keys()]) if (!present.has(name)) this.#others.delete(name)
        for (const { name, value } of entries) this.#change(name, value)
      },
      change: (name, value) => this.#change(name, value),
      settled: () => undefined
    })
  }

  stop(): void {
    this.#following?.stop()
  }

  /** What the registry is to have of this host. */
  values(): ReadonlyMap<string, string> {
    return new Map([...this.#own].map(([service, all]) => [this.#keyOf(service), valueOf(all)]))
  }

  /** All that this host has not, by service. */
  set(now: ReadonlyMap<string, readonly PortConflict[]>): void {
    const { registry, log } = this.#options
    for (const service of [...this.#own.keys()]) {
      if ((now.get(service)?.length ?? 0) > 0) continue
      this.#own.delete(service)
      registry.forget([this.#keyOf(service)])
    }
    for (const [service, all] of now) {
      const before = this.#own.get(service)
      if (all.length === 0 || (before !== undefined && valueOf(before) === valueOf(all))) continue
      this.#own.set(service, all)
      // The registry asks for it again when it is back.
      registry
        .put(this.#keyOf(service), valueOf(all), PUT_MS)
        .catch((error: unknown) => log(`tell of ports of service ${JSON.stringify(service)}: ${messageOf(error)}`))
    }
  }

  /** Of a service, on all hosts. */
  of(service: string): readonly HostConflict[] {
    const { host: self } = this.#options
    const own = (this.#own.get(service) ?? []).map(one => ({ ...one, host: self }))
    const others = [...this.#others].flatMap(([name, all]) => {
      const [of = '', host = ''] = name.split('/')
      return of === service ? all.map(one => ({ ...one, host })) : []
    })
    return [...own, ...others]
  }

  #change(name: string, value: string | undefined): void {
    const [service = '', host = '', ...rest] = name.split('/')
    if (service === '' || host === '' || rest.length > 0 || host === this.#options.host) return
    const all = value === undefined ? [] : conflictsIn(value)
    if (all.length === 0) this.#others.delete(name)
    else this.#others.set(name, all)
  }

  #keyOf(service: string): string {
    return `${PORT_CONFLICTS}${service}/${this.#options.host}`
  }
}

/** One sentence. */
export function conflictText(service: string, one: PortConflict, where: string): string {
  return `publish port ${portText(one)} of service ${JSON.stringify(service)}: container ${JSON.stringify(one.owner)} has it on ${where}`
}

function valueOf(all: readonly PortConflict[]): string {
  return jsonText(jsonOf(all.map(({ port, protocol, owner }) => ({ port, protocol: protocolName(protocol), owner }))))
}

/** What another host wrote; nothing of what is no such list. */
function conflictsIn(value: string): readonly PortConflict[] {
  if (value.length > LONGEST_VALUE) return []
  try {
    const all = new Section(jsonObject([['all', parseJson(value)]])).sections('all')
    return all.slice(0, MOST).flatMap(one => {
      const port = one.integer('port', 1, 65_535)
      const protocol = protocolNumber(one.text('protocol') ?? '')
      const owner = one.text('owner') ?? ''
      return port === undefined || protocol === undefined ? [] : [{ port, protocol, owner }]
    })
  } catch {
    return []
  }
}
