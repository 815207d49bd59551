// needs: ip ping reference-plugins
import { join } from 'node:path'
import { ip, ipAddresses, ipLink, linkNames, must } from '../../lib/testing/ip-json.ts'
import { type Namespace, withNamespaces } from '../../lib/testing/namespace.ts'
import { HostedKernel, PluginCaller } from '../../lib/testing/plugin-caller.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { REFERENCE_DIR } from '../../lib/testing/world.ts'
import { vrf } from './vrf.ts'

const test = suite('plugins/vrf on the kernel')

interface Box {
  readonly host: Namespace
  readonly box: Namespace
  readonly caller: PluginCaller
  readonly config: object
}

/** Two interfaces with the same addresses, each with a router of its own at the far end, and routes through it. */
function withInterfaces(body: (box: Box) => void): void {
  withNamespaces(2, (host, box) => {
    ip(box, 'link set lo up')
    for (const [name, mac] of [
      ['eth0', '02:00:00:00:00:01'],
      ['net1', '02:00:00:00:00:02']
    ]) {
      ip(
        host,
        `link add v-${String(name)} address ${String(mac)} type veth peer name vc address ${String(mac).replace('02:', '06:')}`
      )
      ip(host, `link set vc netns ${String(box.pid)} name ${String(name)} up`)
      ip(host, `link set v-${String(name)} up`)
    }
    give(box, 'eth0')
    const prevResult = { interfaces: [{ name: 'eth0', sandbox: box.path, mac: '06:00:00:00:00:01' }], ips: [] }
    const config = { cniVersion: '1.0.0', name: 'net1', type: 'vrf', vrfname: 'blue', prevResult }
    const caller = new PluginCaller(vrf(new HostedKernel(host.path)), box.path, config)
    try {
      body({ host, box, caller, config })
    } finally {
      caller.close()
    }
  })
}

function give(box: Namespace, name: string): void {
  ip(box, `addr add 10.0.0.5/24 dev ${name}`)
  ip(box, `addr add fd00::5/64 dev ${name} nodad`)
  ip(box, `route add 192.0.2.0/24 via 10.0.0.1`)
  ip(box, `-6 route add 2001:db8::/32 via fd00::1`)
}

function addresses(box: Namespace, name: string): readonly string[] {
  return ipAddresses(box, name).map(one => `${one.local}/${String(one.prefixlen)}${one.tentative === true ? ' ?' : ''}`)
}

/** The routes of a table but those of the kernel's own making, as `ip route` prints them. */
function table(box: Namespace, id: string): readonly string[] {
  const both = must(box, 'ip', 'route', 'show', 'table', id) + must(box, 'ip', '-6', 'route', 'show', 'table', id)
  return both
    .split('\n')
    .filter(line => line !== '' && !/^(local|broadcast|anycast|multicast) |^fe80:|proto kernel/.test(line))
    .map(line => line.replace(/ (dev|proto|metric) .*/, ''))
}

const ROUTES = ['192.0.2.0/24 via 10.0.0.1', '2001:db8::/32 via fd00::1']

test('the interface keeps its addresses, its routes move to the table of the VRF, and come back', () => {
  withInterfaces(({ box, caller }) => {
    assert.equal(table(box, 'main'), ROUTES)
    caller.ok('ADD')
    assert.is(ipLink(box, 'eth0').master, 'blue')
    assert.equal(ipLink(box, 'blue').linkinfo, { info_kind: 'vrf', info_data: { table: 1 } })
    assert.equal(addresses(box, 'eth0'), ['10.0.0.5/24', 'fd00::5/64'])
    assert.equal(table(box, 'main'), [])
    assert.equal(table(box, '1'), ROUTES)
    caller.ok('CHECK')
    // Nothing of the first one is in the way of the same addresses again.
    give(box, 'net1')
    caller.ok('DEL')
    assert.equal(linkNames(box), ['eth0', 'net1'])
    assert.is(ipLink(box, 'eth0').master, undefined)
    caller.ok('DEL')
    assert.equal(caller.journal(), [])
  })
})

test('two interfaces with the same addresses in two VRFs', () => {
  withInterfaces(({ host, box, caller }) => {
    caller.ok('ADD')
    give(box, 'net1')
    const red = { ifName: 'net1', config: { vrfname: 'red' } }
    caller.ok('ADD', red)
    assert.equal(table(box, '1'), ROUTES)
    assert.equal(table(box, '2'), ROUTES)
    caller.ok('CHECK')
    caller.ok('CHECK', red)
    // Each VRF speaks to its own router.
    for (const name of ['eth0', 'net1']) {
      ip(host, `addr add 10.0.0.1/24 dev v-${name}`)
      const device = name === 'eth0' ? 'blue' : 'red'
      must(box, 'ip', 'vrf', 'exec', device, 'ping', '-c', '1', '-W', '2', '10.0.0.1')
      const neighbours = must(box, 'ip', 'neigh', 'show', 'dev', name)
      assert.match(neighbours, new RegExp(`10\\.0\\.0\\.1 lladdr 02:00:00:00:00:0${name === 'eth0' ? '1' : '2'}`))
      ip(host, `addr del 10.0.0.1/24 dev v-${name}`)
    }
    caller.ok('DEL')
    caller.ok('DEL', red)
    assert.equal(linkNames(box), ['eth0', 'net1'])
  })
})

test('a table in use is not taken, a fixed one is', () => {
  withInterfaces(({ box, caller }) => {
    ip(box, 'rule add from 10.77.0.0/16 lookup 1')
    ip(box, 'route add 10.78.0.0/16 dev eth0 table 2')
    ip(box, '-6 rule add from fd77::/64 lookup 3')
    caller.ok('ADD')
    assert.equal(ipLink(box, 'blue').linkinfo?.info_data, { table: 4 })
    caller.ok('DEL')
    caller.ok('ADD', { config: { table: 4711 } })
    assert.equal(ipLink(box, 'blue').linkinfo?.info_data, { table: 4711 })
    caller.ok('CHECK', { config: { table: 4711 } })
    caller.ok('DEL')
  })
})

test('of a default route that interfaces share each keeps its own part', () => {
  withInterfaces(({ box, caller }) => {
    ip(box, 'addr add 10.9.0.5/24 dev net1')
    ip(box, 'addr add fd09::5/64 dev net1 nodad')
    ip(box, 'route add default nexthop via 10.9.0.1 dev net1 nexthop via 10.0.0.1 dev eth0')
    ip(box, '-6 route add default via fd09::1 dev net1 metric 1024')
    ip(box, '-6 route append default via fd00::1 dev eth0 metric 1024')
    const ways = (id: string) =>
      ['-4', '-6'].flatMap(family => {
        const lines = must(box, 'ip', family, 'route', 'show', 'table', id, 'default')
        return [...lines.matchAll(/via (\S+) dev (\S+)/g)].map(([, gateway, name]) => `${gateway} ${name}`).sort()
      })
    const shared = ways('main')
    assert.equal(shared, ['10.0.0.1 eth0', '10.9.0.1 net1', 'fd00::1 eth0', 'fd09::1 net1'])
    caller.ok('ADD', { config: { table: 10 } })
    assert.equal(ways('main'), ['10.9.0.1 net1', 'fd09::1 net1'])
    assert.equal(ways('10'), ['10.0.0.1 eth0', 'fd00::1 eth0'])
  })
})

test('a failed ADD leaves interface, routes and links as they were', () => {
  withInterfaces(({ box, caller }) => {
    ip(box, 'link add blue type vrf table 9')
    const error = caller.fails('ADD', { config: { table: 10 } })
    assert.match(error.msg, /use VRF "blue": it has another table than 10/)
    ip(box, 'link add br0 type bridge')
    ip(box, 'link set net1 master br0')
    assert.match(caller.fails('ADD', { ifName: 'net1' }).msg, /add "net1" to a VRF: it belongs to "br0"/)
    assert.match(caller.fails('ADD', { config: { vrfname: 'br0' } }).msg, /"br0": the link is of kind "bridge"/)
    assert.equal(table(box, 'main'), ROUTES)
    assert.equal(addresses(box, 'eth0'), ['10.0.0.5/24', 'fd00::5/64'])
    assert.equal(linkNames(box), ['blue', 'br0', 'eth0', 'net1'])
    assert.equal(caller.journal(), [])
  })
})

test('DEL when the interface went first removes the VRF; CHECK names what changed', () => {
  withInterfaces(({ box, caller }) => {
    caller.ok('ADD')
    ip(box, 'link set eth0 nomaster')
    assert.match(caller.fails('CHECK').msg, /link "eth0" is not in VRF "blue"/)
    ip(box, 'link del eth0')
    assert.match(caller.fails('CHECK').msg, /link "eth0" is missing/)
    caller.ok('DEL')
    assert.equal(linkNames(box), ['net1'])
  })
})

test("the reference plugin: either's DEL undoes the other's ADD, and their CHECK accepts ours", () => {
  withInterfaces(({ box, caller, config }) => {
    const theirs = (command: string): void => {
      const env = {
        CNI_COMMAND: command,
        CNI_CONTAINERID: 'c1',
        CNI_NETNS: box.path,
        CNI_IFNAME: 'eth0',
        CNI_PATH: REFERENCE_DIR
      }
      const outcome = box.run(join(REFERENCE_DIR, 'vrf'), [], { env, input: JSON.stringify(config) })
      if (outcome.status !== 0) throw new Error(`reference ${command}: ${outcome.stdout}`)
    }
    caller.ok('ADD', { config })
    theirs('CHECK')
    theirs('DEL')
    assert.equal(linkNames(box), ['eth0', 'net1'])
    caller.ok('DEL', { config })
    theirs('ADD')
    caller.ok('CHECK', { config })
    caller.ok('DEL', { config })
    assert.equal(linkNames(box), ['eth0', 'net1'])
  })
})

test.run()
