/**
 * A kernel without a kernel, for tests without root. It behaves like the real one where plugins depend on that:
 * names that are taken, the veth's other end, what goes away with a link, routes that come and go with addresses and
 * with the up flag. It makes no IPv6 link-local addresses and forwards no packets. Its state prints as text:
 *
 *     const kernel = new FakeKernel()
 *     const container = kernel.addNamespace('/run/netns/blue')
 *     const before = kernel.toText()
 *     kernel.failAt(3) // the third change from here is refused
 *     ...
 *     assert.is(kernel.toText(), before)
 */

import { Kernel } from '../../net/kernel.ts'
import { type BringUp, Net } from '../../net/net.ts'
import { errnoOf } from '../../sys/errors.ts'
import { NetnsError } from '../../sys/netns.ts'
import { RefusedChanges } from '../refused-changes.ts'
import { FakeAddresses } from './fake-addresses.ts'
import { FakeLinks, newLink } from './fake-links.ts'
import { type FakeNamespace, namespaceText } from './fake-namespace.ts'
import { FakeNft } from './fake-nft.ts'
import { countStep, FakePlace, type FakeWorld } from './fake-place.ts'
import { FakeRoutes } from './fake-routes.ts'
import { FakeFdb, FakeFilters, FakeNeighbours, FakeQdiscs, FakeRules, FakeSysctls, FakeVlans } from './fake-tables.ts'
import { unlink } from './link-changes.ts'

export class FakeKernel extends Kernel {
  readonly #world: FakeWorld

  constructor() {
    super()
    this.#world = { namespaces: [], refused: new RefusedChanges(), macs: 0, made: 0 }
    addNamespace(this.#world, '')
  }

  override host(): FakeNet {
    return this.open('')
  }

  override open(path: string): FakeNet {
    const namespace = this.#world.namespaces.find(one => one.path === path)
    if (namespace === undefined) throw new NetnsError(path, 'absent', 'no such file')
    return new FakeNet(new FakePlace(this.#world, namespace))
  }

  override find(path: string): FakeNet | undefined {
    return this.#world.namespaces.some(one => one.path === path) ? this.open(path) : undefined
  }

  override nft(net: Net): FakeNft {
    return this.open(net.path()).nft()
  }

  /** Makes a namespace with lo in it, down. */
  addNamespace(path: string): FakeNet {
    addNamespace(this.#world, path)
    return this.open(path)
  }

  /** The namespace dies, and with it its links, the other ends of its veth pairs, and tunnels that go through it. */
  removeNamespace(path: string): void {
    const at = this.#world.namespaces.findIndex(one => one.path === path)
    const namespace = this.#world.namespaces[at]
    if (namespace === undefined) return
    const carried = this.#world.namespaces.flatMap(one => one.links).filter(link => link.through === namespace)
    for (const link of [...namespace.links, ...carried]) unlink(this.#world, link)
    this.#world.namespaces.splice(at, 1)
  }

  /** @see RefusedChanges */
  failAt(step: number, errno = 'EIO'): void {
    this.#world.refused.failAt(step, errno)
  }

  /** @see RefusedChanges */
  changes(): readonly string[] {
    return this.#world.refused.changes()
  }

  /** All namespaces with all that is in them. */
  toText(): string {
    return this.#world.namespaces.map(namespaceText).join('\n')
  }
}

export class FakeNet extends Net {
  readonly #place: FakePlace

  /** Use FakeKernel. */
  constructor(place: FakePlace) {
    super({
      links: new FakeLinks(place),
      vlans: new FakeVlans(place),
      addresses: new FakeAddresses(place),
      routes: new FakeRoutes(place),
      neighbours: new FakeNeighbours(),
      fdb: new FakeFdb(place),
      rules: new FakeRules(place),
      qdiscs: new FakeQdiscs(place),
      filters: new FakeFilters(place),
      sysctls: new FakeSysctls(place)
    })
    this.#place = place
  }

  override path(): string {
    return this.#place.namespace.path
  }

  /** Not a descriptor: the namespace's place in the kernel. */
  override namespaceFd(): number {
    return this.#place.world.namespaces.indexOf(this.#place.namespace)
  }

  override isSameAs(other: Net): boolean {
    return other.path() === this.path()
  }

  override bringUp(index: number, { addresses, alias, routes }: BringUp): boolean {
    this.addresses.ensure(index, addresses)
    this.links.set(index, { up: true, alias })
    try {
      this.routes.ensure(routes)
      return true
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
      return false
    }
  }

  override findNetnsId(other: Net): number | undefined {
    const far = this.#place.namespaceOf(other)
    const known = this.#place.namespace.links.some(
      link => (link.through ?? (link.peer ?? link.parent)?.home) === far && far !== this.#place.namespace
    )
    return known ? other.namespaceFd() : undefined
  }

  override id(): string {
    return this.#place.namespace.id
  }

  override close(): void {
    // Nothing is open.
  }

  override withLock(work: () => void): void {
    const { namespace } = this.#place
    if (namespace.isLocked) throw new Error('lock namespace: it would wait for itself')
    namespace.isLocked = true
    try {
      work()
    } finally {
      namespace.isLocked = false
    }
  }

  isLocked(): boolean {
    return this.#place.namespace.isLocked
  }

  /** What `FakeKernel.nft` gives. */
  nft(): FakeNft {
    return this.#place.namespace.nft
  }
}

function addNamespace(world: FakeWorld, path: string): void {
  if (world.namespaces.some(one => one.path === path)) throw new Error(`add namespace ${JSON.stringify(path)}: exists`)
  const nft = new FakeNft(() => countStep(world, 'commit', 'nft batch'))
  world.made += 1
  const id = String(world.made)
  const namespace: FakeNamespace = {
    path,
    id,
    links: [],
    routes: [],
    rules: [],
    sysctls: new Map(),
    nft,
    nextIndex: 1,
    isLocked: false
  }
  const lo = newLink(world, namespace, { name: 'lo', kind: undefined, info: { kind: 'other' } })
  lo.mac = new Uint8Array(6)
  lo.mtu = 65536
  namespace.links.push(lo)
  world.namespaces.push(namespace)
}
