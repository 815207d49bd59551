/** Published ports of services on this host, if it is on their network. */
import { formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import { prefixContains } from '../../lib/ip/prefix.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Net } from '../../lib/net/net.ts'
import type { Nft } from '../../lib/nft/nft.ts'
import { messageOf } from '../../lib/sys/errors.ts'
import type { BalanceTable } from './balance-table.ts'
import { cutGone } from './connections.ts'
import { hostTable, publishedAt } from './host-rules.ts'
import type { Balanced, Traffic } from './layout.ts'
import { openLinks } from './localhost.ts'
import { conflictText, type PortConflict, type PortConflicts } from './port-conflicts.ts'
import { portOwner } from './port-owners.ts'
import { type Published, portText, type ServiceRecord } from './record.ts'
import type { Services } from './services.ts'

/** In what this host says of itself. */
const HERE = 'this host'

export interface PublisherOptions {
  readonly kernel: Kernel
  readonly services: Services
  /** This host's own addresses in a network, where it has some. */
  readonly ownAddresses: (network: string) => readonly string[]
  /** Takes part in these networks, whether or not a container here does. */
  readonly hold: (networks: ReadonlySet<string>) => void
  /** Hears of ports that are somebody else's here. */
  readonly conflicts: PortConflicts
  readonly compareSeconds: number
}

export class Publisher {
  readonly #options: PublisherOptions
  readonly #host: Net
  readonly #nft: Nft
  readonly #tables: readonly (readonly [family: 4 | 6, table: BalanceTable])[]
  /** By service, port and family: the same objects as long as nothing is different. */
  #made = new Map<string, Balanced>()
  /** Nothing is published here, and nothing was found that had been: what containers come and go changes nothing. */
  #isIdle = false
  #timer: NodeJS.Timeout | undefined

  constructor(options: PublisherOptions) {
    this.#options = options
    this.#host = options.kernel.host()
    this.#nft = options.kernel.nft(this.#host)
    this.#tables = [
      [4, hostTable(this.#nft, 4)],
      [6, hostTable(this.#nft, 6)]
    ]
  }

  start(): void {
    const { services, compareSeconds } = this.#options
    services.changed = () => this.apply()
    services.hostTraffic = { traffic: service => this.#traffic(service) }
    this.#timer = setInterval(() => {
      this.#repair()
      this.#isIdle = false
      this.apply()
    }, compareSeconds * 1000)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#nft.close()
    this.#host.close()
  }

  /** Why this host cannot publish the service's ports; '' when it can. */
  portProblem(record: ServiceRecord): string {
    const [first] = this.#conflictsOf(record)
    return first === undefined ? '' : conflictText(record.name, first, HERE)
  }

  /** Brings the rules of this host up to date. */
  apply(): void {
    const { services, hold } = this.#options
    if (!services.isReady) return
    const published = services.published()
    if (this.#isIdle && published.length === 0) return
    try {
      hold(new Set(published.map(one => one.network)))
      // Nobody is said to be gone before all are known.
      if (!published.every(one => services.isKnown(one.network))) return
      this.#applyAll(published)
      this.#isIdle = published.length === 0
      services.tell('published ports', '')
    } catch (error) {
      services.tell('published ports', `publish ports of services: ${messageOf(error)}`)
    }
  }

  #applyAll(published: readonly ServiceRecord[]): void {
    const { services } = this.#options
    const links = new Set<string>()
    const wanted: Balanced[] = []
    const conflicts = new Map<string, readonly PortConflict[]>()
    for (const record of published) {
      const taken = this.#conflictsOf(record)
      for (const vip of record.vips) {
        const link = this.#linkTo(vip)
        if (link === undefined) continue
        if (vip.family === 4) links.add(link)
        wanted.push(...this.#balanced(record, vip.family, taken))
        conflicts.set(record.name, taken)
      }
    }
    this.#tell(published, conflicts)
    this.#made = new Map(wanted.map(one => [nameOf(one), one]))
    // The guard is there before the first packet can be translated.
    openLinks(this.#host, this.#nft, links)
    for (const [family, table] of this.#tables) {
      const all = wanted.filter(one => one.family === family)
      if (all.length === 0) services.countLast(services.hostTraffic, table.traffic())
      table.apply(all)
      const last = cutGone(this.#host, this.#nft, table, way => services.isGone(way))
      services.countLast(services.hostTraffic, last)
    }
  }

  #conflictsOf({ published }: ServiceRecord): readonly PortConflict[] {
    return published.flatMap(({ port, protocol }) => {
      const owner = portOwner(this.#nft, { port, protocol })
      return owner === '' ? [] : [{ port, protocol, owner }]
    })
  }

  #tell(published: readonly ServiceRecord[], conflicts: ReadonlyMap<string, readonly PortConflict[]>): void {
    const { services } = this.#options
    for (const { name, published: ports } of published) {
      const taken = conflicts.get(name) ?? []
      for (const one of ports) {
        const conflict = taken.find(other => isSamePort(other, one))
        services.tell(`${name} ${portText(one)}`, conflict === undefined ? '' : conflictText(name, conflict, HERE))
      }
    }
    this.#options.conflicts.set(conflicts)
  }

  #balanced(record: ServiceRecord, family: 4 | 6, taken: readonly PortConflict[]): readonly Balanced[] {
    const { services, ownAddresses } = this.#options
    const members = services
      .membersOf(record)
      .filter(one => !one.isAway)
      .flatMap(one => one.addresses.filter(address => address.family === family))
    const own = ownAddresses(record.network).flatMap(text => parseAddress(text) ?? [])
    const source = own.find(one => one.family === family)
    return record.published.flatMap(one => {
      if (taken.some(other => isSamePort(other, one))) return []
      const now = publishedAt(record, one, { family, members, source })
      const before = this.#made.get(nameOf(now))
      return [before !== undefined && textOf(before) === textOf(now) ? before : now]
    })
  }

  /** The interface on which the network is; a gateway leads elsewhere. */
  #linkTo(vip: IpAddress): string | undefined {
    const routes = this.#host.routes
      .list({ family: vip.family })
      .filter(one => one.dst !== undefined && one.dst.length > 0 && one.gateway === undefined)
    const index = routes.find(one => one.dst !== undefined && prefixContains(one.dst, vip))?.index
    return index === undefined ? undefined : this.#host.links.findByIndex(index)?.name
  }

  #traffic(service?: string): readonly Traffic[] {
    return this.#tables.flatMap(([, table]) => table.traffic(service))
  }

  #repair(): void {
    const { services } = this.#options
    try {
      const repaired = this.#tables.filter(([, table]) => table.repair()).length
      if (repaired > 0) services.log('published ports of services: made anew')
    } catch (error) {
      services.log(`published ports of services: ${messageOf(error)}`)
    }
  }
}

function isSamePort(a: Pick<Published, 'port' | 'protocol'>, b: Pick<Published, 'port' | 'protocol'>): boolean {
  return a.port === b.port && a.protocol === b.protocol
}

function nameOf({ service, name, family }: Balanced): string {
  return `${service} ${name} ${family}`
}

function textOf({ members, source, target, isSticky }: Balanced): string {
  const texts = members.map(formatAddress).sort()
  return [target, isSticky, source === undefined ? '' : formatAddress(source), ...texts].join(' ')
}
