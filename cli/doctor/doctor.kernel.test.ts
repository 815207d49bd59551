/** `patchbay doctor` as a command, and the checks that no world of our own can be broken for. */
import { join } from 'node:path'
import type { Net } from '../../lib/net/net.ts'
import { network, placesOf, set, wire } from '../../lib/testing/broken-worlds.ts'
import { withSite } from '../../lib/testing/site.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { limits } from './checks/limits.ts'
import { withFindings } from './doctor.ts'
import type { Facts } from './facts.ts'

const test = suite('cli/doctor')

test('kernel-options: what iproute2 cannot make either', () =>
  withSite(1, async site => {
    for (const type of ['dummy', 'vrf', 'bridge']) network(site, type, { first: type })
    const lacking = ['dummy', 'vrf', 'bridge'].filter(type => {
      const options = type === 'vrf' ? ['table', '5'] : []
      return site.box(0).run('ip', ['link', 'add', 'x0', 'type', type, ...options]).status !== 0
    })
    await withFindings(placesOf(site), ['kernel-options'], async found => {
      const named = found.map(one => /^the kernel has no links of kind ([a-z]+),/.exec(one.what)?.[1])
      assert.equal([...named].sort(), [...lacking].sort())
    })
  }))

test('limits: tables that are nearly full', () => {
  const sysctls: Record<string, string> = {
    'netfilter/nf_conntrack_count': '900',
    'netfilter/nf_conntrack_max': '1000',
    'ipv4/neigh/default/gc_thresh3': '4',
    'ipv6/neigh/default/gc_thresh3': '4'
  }
  const neighbour = { address: { family: 4 }, state: 'stale' }
  const facts = {
    sysctl: (path: string) => sysctls[path] ?? '',
    host: { neighbours: { list: () => [neighbour, neighbour, neighbour, neighbour] } } as unknown as Net
  }
  // What the check looks at is the whole of what it gets: these sysctls belong to the machine's first namespace.
  const found = (): readonly string[] => {
    const result = limits.find(facts as unknown as Facts)
    return Array.isArray(result) ? result.map(one => one.what) : []
  }
  assert.equal(found(), [
    'the table of connections is nearly full: new ones will be dropped',
    'the table of IPv4 neighbours is nearly full: new ones will not be found'
  ])
  sysctls['netfilter/nf_conntrack_max'] = '2000'
  sysctls['ipv4/neigh/default/gc_thresh3'] = '1024'
  assert.equal(found(), [])
})

test('the command: status for monitoring, JSON, --fix, names that hurt nobody', () =>
  withSite(2, site => {
    wire(site)
    const run = (...args: readonly string[]) =>
      site.patchbay(['doctor', ...site.places(), '--bin-dir', join(site.directory, 'bin'), ...args])
    const only = ['--check', 'forwarding', '--check', 'links']
    assert.is(run(...only).status, 0)
    site.ip(site.box(0), 'link set eth0 down', 'link set eth0 name \u001b[2J')
    const warned = run(...only)
    assert.is(warned.status, 1, warned.stdout + warned.stderr)
    assert.match(warned.stdout, /warning: \\u\{1b\}\[2J of .* is down/)
    set(site, site.host, 'ipv4/ip_forward', '0')
    const broken = run(...only, '-o', 'json')
    assert.is(broken.status, 2)
    const [finding] = JSON.parse(broken.stdout).findings
    assert.equal(
      [finding.check, finding.severity, finding.fix, finding.fixed],
      ['forwarding', 'error', 'sysctl -w net.ipv4.ip_forward=1', false]
    )
    assert.match(run(...only, '--fix', '--dry-run').stdout, /^would fix: sysctl -w net\.ipv4\.ip_forward=1$/m)
    assert.is(site.sh(site.host, 'cat /proc/sys/net/ipv4/ip_forward'), '0\n')
    const fixed = run(...only, '--fix')
    assert.match(fixed.stdout, /^fix: sysctl -w net\.ipv4\.ip_forward=1$/m)
    assert.is(fixed.status, 1, 'the warning is left')
    assert.is(site.sh(site.host, 'cat /proc/sys/net/ipv4/ip_forward'), '1\n')
    assert.match(run('--check', 'forwardin').stderr, /there is no such check.*forwarding/)
  }))

test.run()
