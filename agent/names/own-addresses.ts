/** The addresses of the host that the agent runs on. */
import { formatAddress } from '../../lib/ip/address.ts'
import type { Kernel } from '../../lib/net/kernel.ts'

/** A container may ask for the host as often as it likes; the kernel tells of all addresses at once, ms. */
const KEPT_MS = 1000
const MISSED_MS = 250

export class OwnAddresses {
  readonly #kernel: Kernel
  #known: ReadonlySet<string> = new Set()
  #asked = Number.NEGATIVE_INFINITY

  constructor(kernel: Kernel) {
    this.#kernel = kernel
  }

  has(address: string): boolean {
    const age = performance.now() - this.#asked
    // A gateway comes with the first container: what is missing is looked for sooner.
    if (age > (this.#known.has(address) ? KEPT_MS : MISSED_MS)) this.#look()
    return this.#known.has(address)
  }

  #look(): void {
    this.#asked = performance.now()
    const host = this.#kernel.host()
    try {
      this.#known = new Set(host.addresses.list().map(({ prefix }) => formatAddress(prefix.address)))
    } catch {
      // Out of descriptors, for one: what was known is as good as it was.
    } finally {
      host.close()
    }
  }
}
