// needs: nft iptables
/** Ways that are broken, as people complain of them (docs/complaints.md): trace says where, by which rule, and why; once it is mended, it arrives. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { listen, OUTSIDE, uplink } from '../../lib/testing/broken-ways.ts'
import { attachment, placesOf, set, wire } from '../../lib/testing/broken-worlds.ts'
import type { Namespace } from '../../lib/testing/namespace.ts'
import { type Site, withSite } from '../../lib/testing/site.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { Call } from '../call.ts'
import { trace } from './trace.ts'

const test = suite('cli/trace')

interface Traced {
  readonly status: number
  readonly text: string
}

/** The command within this process: starting it anew would cost more than the trace. */
async function run(site: Site, ...words: readonly string[]): Promise<Traced> {
  const { confDir, cacheDir, stateDir, netns } = placesOf(site)
  const known = [
    'conf-dir',
    'bin-dir',
    'cache-dir',
    'state-dir',
    'run-dir',
    'netns',
    'udp',
    'count',
    'size',
    'wait',
    'in',
    'output',
    'json',
    'dry-run'
  ]
  const values = new Map<string, true | string>([
    ['conf-dir', confDir],
    ['cache-dir', cacheDir],
    ['state-dir', stateDir],
    ['run-dir', join(site.directory, 'run')],
    ['netns', netns]
  ])
  const plain: string[] = []
  for (const word of words) {
    const [name = '', value] = word.split('=')
    if (name.startsWith('--')) values.set(name.slice(2), value ?? true)
    else plain.push(word)
  }
  let text = ''
  const write = (more: string): void => {
    text += more
  }
  const status = await trace(new Call(plain, values, new Set(known), { out: write, err: write }))
  return { status, text }
}

interface BrokenWay {
  readonly name: string
  readonly trace: readonly string[]
  readonly breaks: (site: Site) => void
  /** Where it ended and why. */
  readonly says: RegExp
  /** What was seen; '' for nothing in particular. */
  readonly shows?: RegExp
  readonly mends: (site: Site) => void
  /** Nobody says anything: how long that is waited for. */
  readonly wait?: string
}

const nft = (site: Site, box: Namespace, ...lines: readonly string[]): string =>
  site.sh(box, `nft '${lines.join('; ')}'`)

const WAYS: readonly BrokenWay[] = [
  {
    name: 'Docker has set FORWARD to DROP',
    trace: ['c1', OUTSIDE],
    breaks: site => site.sh(site.host, 'iptables-nft -P FORWARD DROP; iptables-nft -N DOCKER-USER'),
    says: /^fails: dropped by policy of chain FORWARD of iptables \(table ip filter\) in the host; Docker set it$/m,
    shows: /^ {4}seen: hook forward: policy drop$/m,
    mends: site => site.sh(site.host, 'iptables-nft -P FORWARD ACCEPT')
  },
  {
    name: 'ufw has set FORWARD to DROP, in legacy iptables',
    wait: '--wait=0.3',
    trace: ['c1', OUTSIDE],
    breaks: site => site.sh(site.host, 'iptables-legacy -N ufw-before-forward; iptables-legacy -P FORWARD DROP'),
    says: /^fails: dropped by policy of chain FORWARD of legacy iptables \(table filter\) in the host; ufw set it$/m,
    shows: /^ {4}seen: policy DROP: its counter rose meanwhile$/m,
    mends: site => site.sh(site.host, 'iptables-legacy -P FORWARD ACCEPT')
  },
  {
    name: 'a rule of legacy iptables refuses a port, as if nobody listened',
    trace: ['c1', 'c2:80'],
    breaks: site => {
      listen(site, site.box(1), '0.0.0.0', 80)
      site.sh(site.box(1), 'iptables-legacy -A INPUT -p tcp --dport 80 -j REJECT --reject-with tcp-reset')
    },
    says: /^fails: dropped by a rule of chain INPUT of legacy iptables \(table filter\) in c2$/m,
    shows: /^ {4}seen: -p tcp -m tcp --dport 80 -j REJECT --reject-with tcp-reset: its counter rose meanwhile$/m,
    mends: site => site.sh(site.box(1), 'iptables-legacy -F INPUT')
  },
  {
    name: 'a chain at the device drops what comes in, before all others',
    trace: ['c1', 'c2'],
    breaks: site =>
      nft(
        site,
        site.host,
        'add table netdev early',
        'add chain netdev early in { type filter hook ingress device "vred" priority 0; }',
        'add rule netdev early in ip daddr 10.77.0.3 drop'
      ),
    says: /^fails: dropped by a rule of chain in \(table netdev early\) in the host$/m,
    shows: /^ {4}seen: hook ingress: meta protocol ip ip daddr 10\.77\.0\.3 drop$/m,
    mends: site => nft(site, site.host, 'delete table netdev early')
  },
  {
    name: 'a chain at the device drops what leaves by it, after all others: the answer',
    trace: ['c1', 'c2'],
    breaks: site =>
      nft(
        site,
        site.box(1),
        'add table netdev late',
        'add chain netdev late out { type filter hook egress devices = { eth0, lo } priority 0; }',
        'add rule netdev late out ip protocol icmp drop'
      ),
    says: /^fails: the answer was dropped by a rule of chain out \(table netdev late\) in c2$/m,
    shows: /^ {4}seen: hook egress: meta protocol ip ip protocol icmp drop$/m,
    mends: site => nft(site, site.box(1), 'delete table netdev late')
  },
  {
    name: 'a rule of iptables drops a port',
    trace: ['c1', 'c2:80'],
    breaks: site => {
      listen(site, site.box(1), '0.0.0.0', 80)
      site.sh(site.box(1), 'iptables-nft -A INPUT -s 10.77.0.0/24 -p tcp -m comment --comment "closed for now" -j DROP')
    },
    says: /^fails: dropped by a rule of chain INPUT of iptables \(table ip filter\) in c2$/m,
    shows: /^ {4}seen: hook input: -p tcp -s 10\.77\.0\.0\/24 -m comment --comment "closed for now" -j DROP$/m,
    mends: site => site.sh(site.box(1), 'iptables-nft -F INPUT')
  },
  {
    name: 'a rule of nftables drops what a bridge passes on',
    trace: ['c1', 'c2'],
    breaks: site =>
      nft(
        site,
        site.host,
        'add table bridge guard',
        'add chain bridge guard passed { type filter hook forward priority 0; }',
        'add rule bridge guard passed iifname "vred" oifname "vblue" ip protocol icmp counter drop'
      ),
    says: /^fails: dropped by a rule of chain passed \(table bridge guard\) in the host$/m,
    shows: /^ {4}seen: hook forward: iifname vred oifname vblue meta protocol ip ip protocol icmp counter drop$/m,
    mends: site => nft(site, site.host, 'flush chain bridge guard passed')
  },
  {
    name: 'a rule of nftables drops the question for the neighbour',
    wait: '--wait=0.3',
    trace: ['c1', 'c2'],
    breaks: site =>
      nft(
        site,
        site.host,
        'add table bridge guard',
        'add chain bridge guard passed { type filter hook forward priority 0; policy drop; }'
      ),
    says: /^fails: no neighbour 10\.77\.0\.3 on eth0 of c1: the question for it was dropped by policy of chain passed \(table bridge guard\) in the host$/m,
    shows: /^ {4}seen: hook forward: policy drop$/m,
    mends: site => nft(site, site.host, 'delete table bridge guard')
  },
  {
    name: 'the same for IPv6',
    wait: '--wait=0.3',
    trace: ['c1', 'fd77::3'],
    breaks: site => {
      site.ip(site.box(1), 'addr add fd77::3/64 dev eth0 nodad')
      nft(
        site,
        site.host,
        'add table bridge guard',
        'add chain bridge guard passed { type filter hook forward priority 0; }',
        'add rule bridge guard passed iifname "vred" icmpv6 type nd-neighbor-solicit drop'
      )
    },
    says: /^fails: no neighbour fd77::3 on eth0 of c1: the question for it was dropped by a rule of chain passed \(table bridge guard\) in the host$/m,
    mends: site => nft(site, site.host, 'delete table bridge guard')
  },
  {
    name: 'the host does not forward',
    wait: '--wait=0.3',
    trace: ['c1', OUTSIDE],
    breaks: site => set(site, site.host, 'ipv4/ip_forward', '0'),
    says: /^fails: the host does not forward$/m,
    shows: /^ {4}seen: net\.ipv4\.ip_forward = 0$/m,
    mends: site => set(site, site.host, 'ipv4/ip_forward', '1')
  },
  {
    name: 'the network is internal',
    trace: ['c1', OUTSIDE],
    breaks: site => site.ip(site.box(0), 'route del default'),
    says: /^fails: no route in c1 leads to 192\.0\.2\.9: network web is internal, with no way out$/m,
    shows: /^ {4}seen: ip route get 192\.0\.2\.9: ENETUNREACH$/m,
    mends: site => site.ip(site.box(0), 'route add default via 10.77.0.1')
  },
  {
    name: 'ports of the bridge are isolated',
    wait: '--wait=0.3',
    trace: ['c1', 'c2'],
    breaks: site => site.sh(site.host, 'bridge link set dev vred isolated on; bridge link set dev vblue isolated on'),
    says: /^fails: no neighbour 10\.77\.0\.3 on eth0 of c1: both hang on isolated ports of patch0$/m,
    shows: /^ {4}seen: ip neigh show 10\.77\.0\.3 dev eth0: (?:incomplete|failed)$/m,
    mends: site => site.sh(site.host, 'bridge link set dev vblue isolated off')
  },
  {
    name: "the target's interface is down",
    wait: '--wait=0.3',
    trace: ['c1', 'c2'],
    breaks: site => site.ip(site.box(1), 'link set eth0 down'),
    says: /^fails: no neighbour 10\.77\.0\.3 on eth0 of c1: eth0 of c2 is down$/m,
    mends: site => site.ip(site.box(1), 'link set eth0 up')
  },
  {
    name: 'the containers are on two bridges',
    wait: '--wait=0.3',
    trace: ['c1', 'c2'],
    breaks: site =>
      site.ip(site.host, 'link add other0 type bridge', 'link set other0 up', 'link set vblue master other0'),
    says: /^fails: no neighbour .*: they are not on one bridge: vred is on patch0, vblue on other0$/m,
    mends: site => site.ip(site.host, 'link set vblue master patch0')
  },
  {
    name: 'a macvlan, and the host that it hangs over',
    wait: '--wait=0.3',
    trace: ['c1', '192.0.2.1'],
    breaks: site => {
      const red = String(site.box(0).pid)
      site.ip(site.box(0), 'link del eth0')
      site.ip(site.host, `link add link up0 name mv0 netns ${red} type macvlan mode bridge`)
      site.ip(site.box(0), 'addr add 192.0.2.50/24 dev mv0', 'link set mv0 up')
    },
    says: /^fails: no neighbour 192\.0\.2\.1 on mv0 of c1: macvlan mv0 hangs over up0, and the kernel passes nothing between the two$/m,
    mends: site =>
      site.ip(
        site.host,
        'addr del 192.0.2.1/24 dev up0',
        'link add link up0 name host0 type macvlan mode bridge',
        'addr add 192.0.2.1/24 dev host0',
        'link set host0 up'
      )
  },
  {
    name: "another program took the bridge's address",
    wait: '--wait=0.3',
    trace: ['c1', OUTSIDE],
    breaks: site => site.ip(site.host, 'addr del 10.77.0.1/24 dev patch0'),
    says: /^fails: no neighbour 10\.77\.0\.1 on eth0 of c1: nobody here has this address$/m,
    mends: site => site.ip(site.host, 'addr add 10.77.0.1/24 dev patch0')
  },
  {
    name: 'an interface on the way is too small for the packet',
    trace: ['c1', OUTSIDE, '--size=1500'],
    breaks: site => site.ip(site.host, 'link set up0 mtu 1400'),
    says: /^fails: the host says: MTU 1400: the packet is larger and must not be fragmented$/m,
    shows: /^ {4}seen: ICMP type 3 code 4 from 10\.77\.0\.1$/m,
    mends: site => site.ip(site.host, 'link set up0 mtu 1500')
  },
  {
    name: 'a port of the bridge is too small for the packet',
    wait: '--wait=0.3',
    trace: ['c1', 'c2', '--size=1500'],
    breaks: site => site.ip(site.host, 'link set vblue mtu 1400'),
    says: /^fails: MTU 1400 of vblue, packet 1500 bytes: bridge patch0 of the host drops it, and no bridge tells the sender$/m,
    mends: site => site.ip(site.host, 'link set vblue mtu 1500')
  },
  {
    name: 'a filter by return path',
    wait: '--wait=0.3',
    trace: ['198.51.100.7', '192.0.2.1', '--in=up0'],
    breaks: site => {
      set(site, site.host, 'ipv4/conf/up0/rp_filter', '1')
      site.ip(site.host, 'route add 198.51.100.0/24 dev patch0')
    },
    says: /^fails: rp_filter of the host drops it: 198\.51\.100\.7 comes in by up0, and is routed by patch0$/m,
    shows: /^ {4}seen: rp_filter 1 on up0$/m,
    mends: site => site.ip(site.host, 'route replace 198.51.100.0/24 via 192.0.2.9')
  },
  {
    name: 'nobody outside knows a way back',
    wait: '--wait=0.3',
    trace: ['c1', OUTSIDE],
    breaks: site => site.ip(site.box(2), 'route del 10.77.0.0/24'),
    says: /^fails: it arrived at sleep \(\d+\), which has no route back to 10\.77\.0\.2$/m,
    mends: site =>
      nft(
        site,
        site.host,
        'add table ip nat',
        'add chain ip nat post { type nat hook postrouting priority 100; }',
        'add rule ip nat post ip saddr 10.77.0.0/24 oifname "up0" masquerade'
      )
  },
  {
    name: 'nobody listens',
    trace: ['c1', 'c2:80'],
    breaks: () => undefined,
    says: /^fails: reached, but nobody listens on tcp port 80 of c2$/m,
    mends: site => listen(site, site.box(1), '0.0.0.0', 80)
  },
  {
    name: 'the service listens on 127.0.0.1 only',
    trace: ['c1', 'c2:80'],
    breaks: site => listen(site, site.box(1), '127.0.0.1', 80),
    says: /^fails: the service on port 80 of c2 listens on 127\.0\.0\.1 only$/m,
    shows: /^ {4}seen: a socket of 127\.0\.0\.1:80$/m,
    mends: site => listen(site, site.box(1), '10.77.0.3', 80)
  },
  {
    name: 'a port is published on 127.0.0.1 only',
    trace: ['198.51.100.7', '192.0.2.1:8080', '--in=up0'],
    breaks: site => {
      site.ip(site.host, 'route add 198.51.100.0/24 via 192.0.2.9')
      const ports = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: '127.0.0.1' }]
      attachment(site, 'web', 'c2', { box: site.box(1), ips: ['10.77.0.3/24'], ports })
    },
    says: /^fails: port 8080 is published on 127\.0\.0\.1 only$/m,
    mends: site => {
      listen(site, site.box(1), '0.0.0.0', 80)
      nft(
        site,
        site.host,
        'add table ip nat',
        'add chain ip nat pre { type nat hook prerouting priority -100; }',
        'add rule ip nat pre tcp dport 8080 dnat to 10.77.0.3:80'
      )
    }
  },
  {
    name: 'no container of a service is there',
    trace: ['c1', '10.96.0.10:80'],
    breaks: site =>
      nft(
        site,
        site.box(0),
        'add table ip patchbay-services',
        'add chain ip patchbay-services output { type filter hook output priority 0; }',
        'add rule ip patchbay-services output ip daddr 10.96.0.10 tcp dport 80 reject with tcp reset'
      ),
    says: /^fails: dropped by a rule of chain output \(table ip patchbay-services\) in c1; Patchbay \(services\) set it$/m,
    shows: /^ {4}seen: hook output: ip daddr 10\.96\.0\.10 meta l4proto tcp th dport 80 reject with tcp reset$/m,
    mends: site => {
      listen(site, site.box(1), '0.0.0.0', 80)
      nft(
        site,
        site.box(0),
        'flush chain ip patchbay-services output',
        'add chain ip patchbay-services nat { type nat hook output priority -100; }',
        'add rule ip patchbay-services nat ip daddr 10.96.0.10 dnat to 10.77.0.3'
      )
    }
  }
]

for (const way of WAYS) {
  test(way.name, () =>
    withSite(3, async site => {
      mkdirSync(join(site.directory, 'state'))
      wire(site)
      uplink(site)
      way.breaks(site)
      const broken = await run(site, ...way.trace, ...(way.wait === undefined ? [] : [way.wait]))
      assert.match(broken.text, way.says, broken.text)
      if (way.shows !== undefined) assert.match(broken.text, way.shows, broken.text)
      assert.is(broken.status, 1)
      way.mends(site)
      const mended = await run(site, ...way.trace)
      assert.is(mended.status, 0, mended.text)
      assert.match(mended.text, /^works: \S+ answers/m)
    })
  )
}

test.run()
