/** A container of this host as a client of services: its namespace, and the tables of both families in it. */
import { attachmentKey } from '../../lib/daemon/attachment.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Net } from '../../lib/net/net.ts'
import type { Nft } from '../../lib/nft/nft.ts'
import type { Named } from '../names/zone.ts'
import type { BalanceTable } from './balance-table.ts'
import { clientTable } from './client-rules.ts'
import { cutGone } from './connections.ts'
import type { Balanced, Traffic, Way } from './layout.ts'

export class Client {
  /** By attachment: it is on their networks. */
  readonly attachments = new Map<string, Named>()
  readonly #net: Net
  readonly #nft: Nft
  readonly #tables: readonly (readonly [family: 4 | 6, table: BalanceTable])[]

  private constructor(net: Net, nft: Nft, turn: number) {
    this.#net = net
    this.#nft = nft
    this.#tables = [
      [4, clientTable(nft, 4, turn)],
      [6, clientTable(nft, 6, turn)]
    ]
  }

  /** @returns undefined when its namespace is gone, or another one's by now */
  static open(kernel: Kernel, named: Named): Client | undefined {
    const { netns, netnsId, addresses } = named.record
    const net = kernel.find(netns)
    if (net === undefined) return undefined
    if (net.id() !== netnsId) {
      net.close()
      return undefined
    }
    // Addresses next to each other begin with members next to each other.
    const turn = addresses[0]?.bytes.at(-1) ?? 0
    const client = new Client(net, kernel.nft(net), turn)
    client.attachments.set(attachmentKey(named), named)
    return client
  }

  /**
   * Brings the tables up to date.
   *
   * @throws {KernelError} what the kernel refuses
   */
  apply(wanted: readonly Balanced[]): void {
    for (const [family, table] of this.#tables) table.apply(wanted.filter(one => one.family === family))
  }

  /** As `cutGone`, in both families. */
  cutGone(isGone: (way: Way) => boolean): readonly Traffic[] {
    return this.#tables.flatMap(([, table]) => cutGone(this.#net, this.#nft, table, isGone))
  }

  /** @returns how many tables somebody had taken away */
  repair(): number {
    return this.#tables.filter(([, table]) => table.repair()).length
  }

  traffic(service?: string): readonly Traffic[] {
    return this.#tables.flatMap(([, table]) => table.traffic(service))
  }

  close(): void {
    this.#nft.close()
    this.#net.close()
  }
}
