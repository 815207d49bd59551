/** `bridge vlan`: which VLANs the ports of a bridge, and the bridge itself, take part in. */

/** One or a range of VLANs on a bridge port. */
export interface BridgeVlan {
  /** 1 to 4094 */
  readonly vid: number
  /** The end of a range, included. */
  readonly lastVid?: number | undefined
  /** Untagged frames that come in get this VLAN. Not for ranges. */
  readonly pvid?: boolean | undefined
  /** Frames of this VLAN go out without a tag. */
  readonly untagged?: boolean | undefined
  /** On the bridge interface itself instead of on a port. */
  readonly self?: boolean | undefined
}

/** @throws {KernelError} EOPNOTSUPP when the kernel lacks VLAN filtering (CONFIG_BRIDGE_VLAN_FILTERING) */
export abstract class Vlans {
  /** In one go. */
  abstract add(index: number, vlans: readonly BridgeVlan[]): void
  /** Removes those that are there; the kernel does not say whether there were any. */
  abstract remove(index: number, vlan: BridgeVlan): void
  /** Of a port, or of a bridge itself; ranges as the kernel compresses them, without `self`. */
  abstract list(index: number): readonly BridgeVlan[]
}
