/** Wires and addresses, as people complain of them (docs/complaints.md). Each is found in words, and not found once it is mended. */
import { type BrokenWorld, set, testWorlds } from '../../lib/testing/broken-worlds.ts'
import { suite } from '../../lib/testing/suite.ts'
import { withFindings } from './doctor.ts'

const test = suite('cli/doctor: wires and addresses')

const WIRES: readonly BrokenWorld[] = [
  {
    name: 'the bridge is down',
    check: 'links',
    severity: 'error',
    breaks: site => site.ip(site.host, 'link set patch0 down'),
    says: /^patch0 of the host is down/,
    shows: /ip link show patch0/,
    mends: 'fix'
  },
  {
    name: "a container's host end is down",
    check: 'links',
    severity: 'error',
    breaks: site => site.ip(site.host, 'link set vblue down'),
    says: /^vblue of the host is down/,
    shows: /vblue/,
    mends: 'fix'
  },
  {
    name: "another program took the bridge's address",
    check: 'gateways',
    severity: 'error',
    breaks: site => site.ip(site.host, 'addr del 10.77.0.1/24 dev patch0'),
    says: /10\.77\.0\.1, is nobody's address$/,
    shows: /route default via 10\.77\.0\.1 dev eth0/,
    mends: site => site.ip(site.host, 'addr add 10.77.0.1/24 dev patch0')
  },
  {
    name: 'two containers have one address',
    check: 'duplicates',
    severity: 'error',
    breaks: site => site.ip(site.box(1), 'addr add 10.77.0.2/24 dev eth0'),
    says: /^address 10\.77\.0\.2 is there 2 times on bridge patch0$/,
    shows: /eth0/,
    mends: site => site.ip(site.box(1), 'addr del 10.77.0.2/24 dev eth0')
  },
  {
    name: 'a cloned container has the MAC of another',
    check: 'duplicates',
    severity: 'error',
    breaks: site => {
      for (const box of site.boxes) site.ip(box, 'link set eth0 address 02:00:00:00:00:07')
    },
    says: /^MAC 02:00:00:00:00:07 is there 2 times/,
    shows: /eth0/,
    mends: site => site.ip(site.box(1), 'link set eth0 address 02:00:00:00:00:08')
  },
  {
    name: 'IPv6 is switched off in the container',
    check: 'ipv6-off',
    severity: 'error',
    breaks: site => set(site, site.box(0), 'ipv6/conf/all/disable_ipv6', '1'),
    says: /does not have fd77::2\/64, which network web gave it$/,
    shows: /eth0 has 10\.77\.0\.2\/24/,
    mends: site => {
      set(site, site.box(0), 'ipv6/conf/all/disable_ipv6', '0')
      site.ip(site.box(0), 'addr add fd77::2/64 dev eth0 nodad')
    }
  },
  {
    name: 'the container sends larger packets than its bridge takes',
    check: 'mtu',
    severity: 'error',
    breaks: site => site.ip(site.host, 'link set patch0 mtu 1400'),
    says: /sends packets of 1500 bytes, patch0 takes 1400$/,
    shows: /MTU of patch0: 1400/,
    mends: site => site.ip(site.host, 'link set patch0 mtu 1500')
  },
  {
    name: 'a VPN has the subnet of the network',
    check: 'subnet-overlap',
    severity: 'error',
    breaks: site => site.ip(site.host, 'link add tun0 type ifb', 'link set tun0 up', 'route add 10.77.0.0/16 dev tun0'),
    says: /^the subnet of network web is also behind tun0$/,
    shows: /route 10\.77\.0\.0\/16 dev tun0/,
    mends: site => site.ip(site.host, 'link del tun0')
  },
  {
    name: 'a container on two networks filters by return path',
    check: 'rp-filter',
    severity: 'warning',
    breaks: site => {
      const red = site.box(0)
      site.ip(
        site.host,
        `link add vred2 type veth peer name eth1 netns ${String(red.pid)}`,
        'link set vred2 master patch0 up'
      )
      site.ip(red, 'addr add 10.78.0.2/24 dev eth1', 'link set eth1 up')
      set(site, red, 'ipv4/conf/eth1/rp_filter', '1')
    },
    says: /has several interfaces, and drops what comes in by another/,
    shows: /rp_filter = 1 on eth1/,
    mends: site => {
      for (const name of ['all', 'eth0', 'eth1']) set(site, site.box(0), `ipv4/conf/${name}/rp_filter`, '2')
    }
  }
]

testWorlds(test, WIRES, withFindings)

test.run()
