// needs: nft iptables
/** Firewalls and published ports, as people complain of them (docs/complaints.md). Each is found in words, and not found once it is mended. */
import { attachment, type BrokenWorld, set, testWorlds } from '../../lib/testing/broken-worlds.ts'
import type { Site } from '../../lib/testing/site.ts'
import { suite } from '../../lib/testing/suite.ts'
import { withFindings } from './doctor.ts'

const test = suite('cli/doctor: firewalls and ports')

const nft = (site: Site, line: string): string => site.sh(site.host, `nft '${line}'`)
const DROP = 'type filter hook forward priority 0; policy drop;'

const FIREWALLS: readonly BrokenWorld[] = [
  {
    name: 'the host does not forward',
    check: 'forwarding',
    severity: 'error',
    breaks: site => set(site, site.host, 'ipv4/ip_forward', '0'),
    says: /^the host does not forward IPv4/,
    shows: /net\.ipv4\.ip_forward = 0/,
    mends: 'fix'
  },
  {
    name: 'the host does not forward IPv6',
    check: 'forwarding',
    severity: 'error',
    breaks: site => set(site, site.host, 'ipv6/conf/all/forwarding', '0'),
    says: /^the host does not forward IPv6/,
    shows: /net\.ipv6\.conf\.all\.forwarding = 0/,
    mends: 'fix'
  },
  {
    name: 'Docker has set FORWARD to DROP',
    check: 'forward-policy',
    severity: 'warning',
    breaks: site => {
      nft(site, `add table ip filter; add chain ip filter FORWARD { ${DROP} }; add chain ip filter DOCKER-USER`)
    },
    says: /chain FORWARD of table ip filter drops .*; Docker set it$/,
    shows: /nft list chain ip filter FORWARD/,
    // By the remedy: Docker keeps what is in that chain.
    mends: site => {
      nft(site, 'add rule ip filter FORWARD jump DOCKER-USER; add rule ip filter DOCKER-USER iifname "patch0" accept')
    }
  },
  {
    name: 'Docker accepts its own bridge alone',
    check: 'forward-policy',
    severity: 'warning',
    breaks: site => {
      nft(site, `add table ip filter; add chain ip filter FORWARD { ${DROP} }; add chain ip filter DOCKER-USER`)
      nft(
        site,
        'add rule ip filter FORWARD iifname "docker0" accept; add rule ip filter FORWARD ip saddr 10.77.1.0/24 accept'
      )
      nft(
        site,
        'add rule ip filter FORWARD ct state established accept; add rule ip filter DOCKER-USER ip saddr 10.77.0.0/24 accept'
      )
    },
    says: /chain FORWARD of table ip filter drops .*; Docker set it$/,
    shows: /^2 containers are on patch0, which no rule accepts$/m,
    mends: site => {
      nft(site, 'add rule ip filter FORWARD ip saddr 10.77.0.0/24 accept')
    }
  },
  {
    name: 'ufw has set FORWARD to DROP, in legacy iptables',
    check: 'forward-policy',
    severity: 'warning',
    breaks: site => {
      site.sh(site.host, 'iptables-legacy -N ufw-before-forward && iptables-legacy -P FORWARD DROP')
    },
    says: /iptables-legacy filter drops .*; ufw set it$/,
    shows: /policy drop/,
    mends: site => {
      // As `ufw route allow in on patch0` does.
      site.sh(site.host, 'iptables-legacy -A FORWARD -j ufw-before-forward')
      site.sh(site.host, 'iptables-legacy -A ufw-before-forward -i patch0 -j ACCEPT')
    }
  },
  {
    name: 'firewalld has the bridge in a zone that does not forward',
    check: 'forward-policy',
    severity: 'warning',
    breaks: site => {
      nft(
        site,
        'add table inet firewalld; add chain inet firewalld filter_FORWARD { type filter hook forward priority 10; }; add chain inet firewalld filter_FWD_public; add chain inet firewalld filter_FWD_trusted'
      )
      nft(
        site,
        'add rule inet firewalld filter_FORWARD iifname "patch0" goto filter_FWD_public; add rule inet firewalld filter_FWD_trusted accept; add rule inet firewalld filter_FORWARD reject'
      )
    },
    says: /; firewalld set it$/,
    shows: /2 containers/,
    mends: site => {
      // As --zone=trusted --add-interface=patch0 does.
      nft(site, 'insert rule inet firewalld filter_FORWARD iifname "patch0" goto filter_FWD_trusted')
    }
  },
  {
    name: 'br_netfilter sends the traffic of a bridge through a firewall that drops',
    check: 'br-netfilter',
    severity: 'warning',
    breaks: site => {
      set(site, site.host, 'bridge/bridge-nf-call-iptables', '1')
      nft(site, `add table ip filter; add chain ip filter FORWARD { ${DROP} }`)
    },
    says: /containers of one bridge send each other has to pass a firewall/,
    shows: /bridge patch0 has 2 containers/,
    mends: site => set(site, site.host, 'bridge/bridge-nf-call-iptables', '0')
  },
  {
    name: 'another tool has flushed the rules of published ports',
    check: 'rules',
    severity: 'error',
    breaks: site => {
      const mappings = [{ protocol: 'tcp', first: 8080, last: 8080, containerPort: 80 }]
      site.file('state/web/c1:eth0.portmap.json', { backend: 'nftables', mappings })
    },
    says: /^ports of network web are published, but the rules that lead there are gone$/,
    shows: /ports of c1 \(eth0\)/,
    mends: site => {
      nft(
        site,
        'add table ip patchbay-portmap; add chain ip patchbay-portmap prerouting { type nat hook prerouting priority -100; }'
      )
    }
  },
  {
    name: 'rules are left of a container whose journal was lost',
    check: 'stale-rules',
    severity: 'warning',
    breaks: site => {
      nft(
        site,
        'add table ip patchbay-masquerade; add map ip patchbay-masquerade sources { type ipv4_addr : verdict; }'
      )
      nft(site, 'add chain ip patchbay-masquerade postrouting { type nat hook postrouting priority 100; }')
      for (const [address, owner] of [
        ['10.77.0.2', 'web c1 eth0'],
        ['10.77.0.66', 'web dead eth0']
      ])
        nft(site, `add element ip patchbay-masquerade sources { ${address} comment "${owner}" : accept }`)
    },
    says: /^the packet filter has rules of containers that no record knows$/,
    shows: /^web dead eth0: an element of sources in table patchbay-masquerade$/,
    mends: site => {
      nft(site, 'delete element ip patchbay-masquerade sources { 10.77.0.66 }')
    }
  },
  {
    name: 'a trace was killed on an old kernel',
    check: 'traces',
    severity: 'note',
    // No process has this number: it is the first above the highest that there can be.
    breaks: site => {
      nft(site, 'add table ip patchbay-trace-4194305')
    },
    says: /^the host has rules of a trace that was killed$/,
    shows: /^table patchbay-trace-4194305$/,
    mends: 'fix'
  },
  {
    name: 'two containers publish one port',
    check: 'port-conflicts',
    severity: 'error',
    breaks: site => {
      const ports = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }]
      attachment(site, 'web', 'c1', { box: site.box(0), ips: [], ports })
      attachment(site, 'web', 'c2', { box: site.box(1), ips: [], ports: [{ ...ports[0], hostIP: '192.0.2.1' }] })
    },
    says: /^port 8080\/tcp of the host is published by two containers$/,
    shows: /c2 \(eth0\) of network web: 192\.0\.2\.1:8080/,
    mends: site => attachment(site, 'web', 'c2', { box: site.box(1), ips: [] })
  },
  {
    name: 'a port is published at an address that the host lacks',
    check: 'published-addresses',
    severity: 'warning',
    breaks: site => {
      const at = (hostIP: string, hostPort: number) => ({ hostPort, containerPort: 80, protocol: 'tcp', hostIP })
      const ports = [at('203.0.113.9', 8080), at('127.0.0.1', 8081), at('0.0.0.0', 8082)]
      attachment(site, 'web', 'c1', { box: site.box(0), ips: [], ports })
    },
    says: /^port 8080\/tcp is published at 203\.0\.113\.9, which the host does not have$/,
    shows: /^c1 \(eth0\) of network web$/m,
    mends: site => {
      site.host.run('ip', ['addr', 'add', '203.0.113.9/32', 'dev', 'lo'])
    }
  }
]

testWorlds(test, FIREWALLS, withFindings)

test.run()
