/**
 * Sysctl keys as people write them, and as files below /proc/sys/net.
 *
 *     net.ipv4.conf.IFNAME.arp_filter      ipv4/conf/eth0/arp_filter
 *     net/ipv4/conf/eth0.5/arp_filter      ipv4/conf/eth0.5/arp_filter
 *     net.ipv4.conf.eth0.5.arp_filter      ipv4/conf/eth0.5/arp_filter
 *
 * @source sysctl(8): either separator; linux Documentation/networking/ip-sysctl.rst: conf/<interface>/, neigh/<interface>/
 */

/** One sysctl to set. */
export interface Sysctl {
  /** As configured. */
  readonly key: string
  /** Below /proc/sys/net, separated by slashes. */
  readonly path: string
  readonly value: string
}

/** Directories that hold one directory per interface. */
const PER_INTERFACE: readonly string[] = ['ipv4/conf', 'ipv4/neigh', 'ipv6/conf', 'ipv6/neigh', 'mpls/conf']

/**
 * The file of a sysctl, below /proc/sys/net.
 *
 * `.` separates in a key and belongs to many an interface's name (`eth0.5`). No file or directory of the kernel's own
 * has a dot in it, so below `conf` and `neigh` all but the last part is the name of an interface.
 *
 * @param ifName what `IFNAME` stands for; dots in it stay
 * @returns undefined when the key is none of the network's, or leads elsewhere
 */
export function sysctlPath(key: string, ifName: string): string | undefined {
  const parts = key.split(/[./]/)
  if (parts.length < 3 || parts[0] !== 'net' || parts.some(part => !/^[^\s\0]+$/.test(part))) return undefined
  const directory = `${parts[1] ?? ''}/${parts[2] ?? ''}`
  const isPerInterface = parts.length > 5 && PER_INTERFACE.some(one => one === directory)
  const path = isPerInterface
    ? `${directory}/${parts.slice(3, parts.length - 1).join('.')}/${parts[parts.length - 1] ?? ''}`
    : parts.slice(1).join('/')
  // split and join, not replace: a `$&` in an interface's name would be taken for a pattern.
  const at = path.indexOf('IFNAME')
  return at < 0 ? path : path.slice(0, at) + ifName + path.slice(at + 6)
}

/**
 * Whether the sysctl has the value, whatever space is between the numbers of either. Of a list the kernel sets as many as
 * are given.
 */
export function holdsValue(present: string, wanted: string): boolean {
  const [has, asked] = [wordsOf(present), wordsOf(wanted)]
  return asked.every((word, i) => word === has[i])
}

/** Whether the kernel can take it for one value: it reads up to the first line end, and of nothing it makes nothing. */
export function isValue(text: string): boolean {
  return /^[^\0-\x08\x0a-\x1f\x7f]+$/.test(text.trim())
}

function wordsOf(text: string): readonly string[] {
  return text.trim().split(/\s+/)
}
