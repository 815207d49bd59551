/** What checks look at: read once, before the first of them. */
import { LinuxKernel } from '../../lib/net/kernel-net.ts'
import type { Net } from '../../lib/net/net.ts'
import type { Nft } from '../../lib/nft/nft.ts'
import { loadNetworks, type Network, type NetworkError } from '../../lib/runtime/network.ts'
import type { LinkView, NamespaceView, View } from '../../lib/view/model.ts'
import { readView } from '../../lib/view/read.ts'
import { type Member, type Segment, type Segments, segmentsOf } from '../../lib/view/segments.ts'
import type { Place } from '../place.ts'
import { type BaseChain, readBaseChains } from './base-chains.ts'

export interface FactPlaces extends Place {
  /** The plugins' `stateDir`. */
  readonly stateDir: string
  /** Where other runtimes than containerd look for plugins as well. */
  readonly otherBinDirs: readonly string[]
  readonly agentConfig: string
  readonly agentSocket: string
  /** The namespace to look at; the process's own when absent. */
  readonly netns?: string | undefined
}

export class Facts {
  readonly places: FactPlaces
  readonly view: View
  readonly segments: Segments
  readonly networks: readonly Network[]
  readonly networkProblems: readonly NetworkError[]
  readonly chains: readonly BaseChain[]
  /** The host's namespace, open. */
  readonly host: Net
  readonly hostView: NamespaceView
  readonly #kernel = new LinuxKernel()

  constructor(places: FactPlaces) {
    const { confDir, cacheDir, stateDir, netns } = places
    this.places = places
    this.view = readView({ confDir, cacheDir, stateDir, netns, withRoutes: true })
    this.segments = segmentsOf(this.view)
    const { networks, problems } = networksAt(confDir)
    this.networks = networks
    this.networkProblems = problems
    this.host = netns === undefined ? this.#kernel.host() : this.#kernel.open(netns)
    this.chains = readBaseChains(this.host.namespaceFd())
    const [host] = this.view.namespaces
    if (host === undefined) throw new Error('a view has its host')
    this.hostView = host
  }

  /** Of the host's namespace; '' where there is no such file. */
  sysctl(path: string): string {
    return this.host.sysctls.read(path) ?? ''
  }

  /** Containers on bridges and wires of the host: what the host routes for. */
  get routed(): readonly { readonly segment: Segment; readonly member: Member }[] {
    return this.segments.segments
      .filter(segment => segment.namespace.isHost && (segment.kind === 'bridge' || segment.kind === 'wire'))
      .flatMap(segment => segment.members.map(member => ({ segment, member })))
  }

  /** Runs `work` in a container's namespace. @returns undefined when it has gone */
  inside<T>(namespace: NamespaceView, work: (net: Net) => T): T | undefined {
    for (const path of namespace.paths) {
      const net = this.#kernel.find(path)
      if (net === undefined) continue
      try {
        if (net.id().split(':')[1] === namespace.id) return work(net)
      } finally {
        net.close()
      }
    }
    return undefined
  }

  /** The host's packet filter, for the caller to close. */
  nft(): Nft {
    return this.#kernel.nft(this.host)
  }

  close(): void {
    this.host.close()
  }
}

function networksAt(confDir: string): ReturnType<typeof loadNetworks> {
  try {
    return loadNetworks(confDir)
  } catch {
    return { networks: [], problems: [] } // the view's problems have it
  }
}

/** The addresses of a link without prefix lengths. */
export function plainAddresses(link: LinkView): readonly string[] {
  return link.addresses.map(address => address.split('/')[0] ?? '')
}
