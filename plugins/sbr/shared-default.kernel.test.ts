// needs: ip
/** A default route that two interfaces share, and an ADD that the kernel refuses each change in turn. */
import { failingConnect } from '../../lib/testing/failing-conn.ts'
import { ip, must } from '../../lib/testing/ip-json.ts'
import { type Namespace, withNamespaces } from '../../lib/testing/namespace.ts'
import { HostedKernel, PluginCaller } from '../../lib/testing/plugin-caller.ts'
import { RefusedChanges } from '../../lib/testing/refused-changes.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { sbr } from './sbr.ts'

const test = suite('plugins/sbr, a shared default route')

/** Two interfaces, and in each family one default route through both. */
function prepare(box: Namespace): void {
  for (const [name, net] of [
    ['eth0', '1'],
    ['net1', '2']
  ]) {
    ip(box, `link add ${String(name)} type veth peer name far${String(net)}`)
    ip(box, `link set far${String(net)} up`)
    ip(box, `link set ${String(name)} up`)
    ip(box, `addr add 10.${String(net)}.0.5/24 dev ${String(name)}`)
    ip(box, `addr add fd00:${String(net)}::5/64 dev ${String(name)} nodad`)
  }
  ip(box, 'route add default nexthop via 10.1.0.1 dev eth0 nexthop via 10.2.0.1 dev net1')
  ip(box, '-6 route add default via fd00:1::1 dev eth0 metric 1024')
  ip(box, '-6 route append default via fd00:2::1 dev net1 metric 1024')
}

/** The next hops of the main table's default routes, the container's own networks, and the rules. */
function routing(box: Namespace): readonly string[] {
  return ['-4', '-6'].flatMap(family => {
    const defaults = must(box, 'ip', family, 'route', 'show', 'default').matchAll(/via (\S+) dev (\S+)/g)
    const own = must(box, 'ip', family, 'route', 'show', 'proto', 'kernel').matchAll(/^(\S+) dev (\S+)/gm)
    const rules = must(box, 'ip', family, 'rule').matchAll(/from (\S+) lookup (\S+)/g)
    return [...defaults, ...own, ...rules].map(([, one, other]) => `${String(one)} ${String(other)}`).sort()
  })
}

test('an ADD that fails at any step joins again what it has taken apart', () => {
  withNamespaces(2, (host, box) => {
    prepare(box)
    const before = routing(box)
    assert.equal(
      before.filter(line => /0\.1 |::1 /.test(line)),
      ['10.1.0.1 eth0', '10.2.0.1 net1', 'fd00:1::1 eth0', 'fd00:2::1 net1']
    )
    const interfaces = [{ name: 'net1', sandbox: box.path }]
    const ips = [
      { address: '10.2.0.5/24', gateway: '10.2.0.1', interface: 0 },
      { address: 'fd00:2::5/64', gateway: 'fd00:2::1', interface: 0 }
    ]
    const refused = new RefusedChanges()
    const kernel = new HostedKernel(host.path, failingConnect(refused))
    const caller = new PluginCaller(sbr(kernel), box.path, { prevResult: { interfaces, ips } })
    try {
      let steps = 0
      for (let step = 1; ; step += 1) {
        refused.failAt(step)
        const answer = caller.call('ADD', { ifName: 'net1' })
        if (answer.status === 0) break
        steps = step
        assert.equal(routing(box), before, `step ${String(step)}: ${answer.stdout}`)
      }
      // Six routes of two tables, two shared ones parted, two networks taken out, two rules.
      assert.ok(steps >= 10, String(steps))
      const after = routing(box).filter(line => /0\.1 |::1 /.test(line))
      assert.equal(after, ['10.1.0.1 eth0', 'fd00:1::1 eth0'])
    } finally {
      caller.close()
    }
  })
})

test.run()
