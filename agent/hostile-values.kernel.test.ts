/** A host that was broken into, or an older agent, writes what it likes into etcd: the other hosts go on. */
// needs: bridge ping etcd etcdctl
// time-out: 300 s
import { until } from '../lib/testing/lab-agent.ts'
import { ok, pings } from '../lib/testing/overlay-lab.ts'
import { inSite, reached } from '../lib/testing/overlay-site.ts'
import { assert, suite } from '../lib/testing/suite.ts'

const test = suite('agent, with values of the registry that nobody should believe')

test('bad endpoints, owners and hosts change nothing for the good ones; gateways cannot be claimed', async () => {
  await inSite({ members: 1, hosts: 2 }, async site => {
    const a = await site.add(0, 'c0')
    const host = site.lab.host(0).namespace
    const mac = / link\/ether ([0-9a-f:]+) /.exec(ok(host, 'ip link show br-vx42'))?.[1] ?? ''
    const good = { mac: '02:00:00:00:00:66', ips: ['10.42.0.66'], vtep: '192.0.2.2' }
    const values: readonly unknown[] = [
      null,
      7,
      { ...good, mac: 'x' },
      { ...good, mac: '00:00:00:00:00:00' },
      { ...good, mac: 'ff:ff:ff:ff:ff:ff' },
      { ...good, vtep: '$(reboot)' },
      { ...good, vtep: 'fd00::1' },
      { ...good, ips: { length: 3 } },
      { ...good, mac, ips: ['10.42.0.67'] },
      { ...good, ips: ['10.42.0.1', 'fd42::1', 'x', 7, null, '0.0.0.0', '10.42.0.66'] }
    ]
    for (const [i, value] of values.entries()) {
      site.etcd.ctl('put', `/patchbay/endpoints/42/evil/../${i}`, JSON.stringify(value))
    }
    site.etcd.ctl('put', '/patchbay/endpoints/42/torn/n/c/eth0', '{"mac":')
    site.etcd.ctl('put', '/patchbay/addresses/pool/10.42.0.200', 'null')
    site.etcd.ctl('put', '/patchbay/hosts/evil', '[]')

    const b = await site.add(1, 'c1')
    await reached(a, b.ips[0] ?? '')
    await reached(b, a.ips[0] ?? '')
    // The one thing that is right in all of that is taken, and what is wrong beside it is not.
    await until('the good address is known', () => ok(host, 'ip neigh show dev br-vx42').includes('10.42.0.66 '))
    const neighbours = ok(host, 'ip neigh show dev br-vx42')
    assert.not.match(neighbours, /^10\.42\.0\.1 |^fd42::1 /m)
    const remote = site
      .fdb(0)
      .split('\n')
      .filter(line => line.includes(mac) && line.includes('dst'))
    assert.equal(remote, [], 'the bridge’s own MAC goes nowhere')
    assert.ok(pings(a.netns, '10.42.0.1'))
  })
})

test('an agent starts over a damaged entry of its own host', async () => {
  await inSite({ members: 1, hosts: 2 }, async site => {
    await site.agent(0).kill()
    site.etcd.ctl('put', '/patchbay/hosts/h0', '{"machine":7,"endpoints":"x"}')
    site.agent(0).restart()
    await site.agent(0).whenReady()
    const a = await site.add(0, 'c0')
    const b = await site.add(1, 'c1')
    await reached(a, b.ips[0] ?? '')
  })
})

test.run()
