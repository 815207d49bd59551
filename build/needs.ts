/** What test files need of the machine beyond root, Node and npm, and how to say that it is missing. */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Suite } from './test-kinds.ts'

/** Each need: a command, or a path for what is no command, and the Debian package that brings it. */
const NEEDS: ReadonlyMap<string, { readonly path?: string; readonly debianPackage: string }> = new Map([
  ['ip', { debianPackage: 'iproute2' }],
  ['bridge', { debianPackage: 'iproute2' }],
  ['tc', { debianPackage: 'iproute2' }],
  ['nft', { debianPackage: 'nftables' }],
  ['iptables', { debianPackage: 'iptables' }],
  ['ip6tables', { debianPackage: 'iptables' }],
  ['ipset', { debianPackage: 'ipset' }],
  ['conntrack', { debianPackage: 'conntrack' }],
  ['dbus-daemon', { debianPackage: 'dbus-daemon' }],
  ['ethtool', { debianPackage: 'ethtool' }],
  ['tcpdump', { debianPackage: 'tcpdump' }],
  ['strace', { debianPackage: 'strace' }],
  ['valgrind', { debianPackage: 'valgrind' }],
  ['ping', { debianPackage: 'iputils-ping' }],
  ['openssl', { debianPackage: 'openssl' }],
  ['etcd', { debianPackage: 'etcd-server' }],
  ['etcdctl', { debianPackage: 'etcd-client' }],
  ['systemd-analyze', { debianPackage: 'systemd' }],
  ['systemd-socket-activate', { debianPackage: 'systemd' }],
  ['flock', { debianPackage: 'util-linux' }],
  ['script', { debianPackage: 'bsdutils' }],
  ['setpriv', { debianPackage: 'util-linux' }],
  ['dig', { debianPackage: 'bind9-dnsutils' }],
  ['perl', { debianPackage: 'perl-base' }],
  ['python3', { debianPackage: 'python3' }],
  ['drill', { debianPackage: 'ldnsutils' }],
  ['dnsperf', { debianPackage: 'dnsperf' }],
  ['resperf', { debianPackage: 'dnsperf' }],
  ['jq', { debianPackage: 'jq' }],
  ['wg', { debianPackage: 'wireguard-tools' }],
  ['bash', { debianPackage: 'bash' }],
  ['zsh', { debianPackage: 'zsh' }],
  ['fish', { debianPackage: 'fish' }],
  ['dhcpd', { debianPackage: 'isc-dhcp-server' }],
  ['dpkg-deb', { debianPackage: 'dpkg' }],
  ['rpm', { debianPackage: 'rpm' }],
  ['lintian', { debianPackage: 'lintian' }],
  ['busybox', { debianPackage: 'busybox-static' }],
  ['chromium', { debianPackage: 'chromium' }],
  ['reference-plugins', { path: '/usr/lib/cni/bridge', debianPackage: 'containernetworking-plugins' }]
])

/** Tests against a real kernel judge by iproute2. */
const OF_SUITE: Readonly<Record<Suite, readonly string[]>> = { pure: [], kernel: ['ip'], blackbox: [], guest: ['ip'] }

/**
 * What a test file needs: what its suite always needs, and what its first lines name: `// needs: nft reference-plugins`.
 * @throws Error for a name that is not in the list
 */
export function needsOf(source: string, suite: Suite): readonly string[] {
  const named =
    /^(?:\/\/| \*|\/\*\*) needs: ([a-z0-9 -]+?)(?: \*\/)?$/m.exec(source.slice(0, 2000))?.[1]?.split(' ') ?? []
  const unknown = named.find(name => !NEEDS.has(name))
  if (unknown !== undefined)
    throw new Error(`read "needs:" of a test file: ${JSON.stringify(unknown)} is not in the list`)
  return [...new Set([...OF_SUITE[suite], ...named])]
}

/** How to get what is missing of these needs, or undefined when all are there. */
export function missingNeeds(needs: readonly string[], path = process.env['PATH'] ?? ''): string | undefined {
  const folders = [...path.split(delimiter), '/usr/sbin', '/sbin']
  const missing = needs.filter(name => {
    const place = NEEDS.get(name)?.path
    return place === undefined ? !folders.some(folder => existsSync(join(folder, name))) : !existsSync(place)
  })
  if (missing.length === 0) return undefined
  const packages = new Set(missing.map(name => NEEDS.get(name)?.debianPackage ?? name))
  return `needs ${missing.join(', ')}: apt-get install ${[...packages].join(' ')}`
}
