// needs: ip tc ping reference-plugins
import { join } from 'node:path'
import { ip, linkNames, must } from '../../lib/testing/ip-json.ts'
import { type Namespace, withNamespaces } from '../../lib/testing/namespace.ts'
import { HostedKernel, PluginCaller } from '../../lib/testing/plugin-caller.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { REFERENCE_DIR } from '../../lib/testing/world.ts'
import { bandwidth } from './bandwidth.ts'
import { ownIfbName, referenceIfbName } from './names.ts'

const test = suite('plugins/bandwidth on the kernel')

const C1 = { network: 'net1', containerId: 'c1', ifName: 'eth0' }
const IFB = referenceIfbName(C1)
const BOTH = { ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 16_000_000, egressBurst: 1_600_000 }

interface Veth {
  readonly host: Namespace
  readonly box: Namespace
  readonly caller: PluginCaller
  /** A whole configuration of version 1.0.0, for either implementation. */
  readonly config: (more: object) => object
}

/** A host and a container, joined by `vh` and `eth0`. */
function withVeth(body: (veth: Veth) => void): void {
  withNamespaces(2, (host, box) => {
    ip(host, 'link add vh mtu 1400 type veth peer name vc mtu 1400')
    ip(host, `link set vc netns ${String(box.pid)} name eth0 up`)
    ip(host, 'link set vh up')
    const prevResult = { interfaces: [{ name: 'vh' }, { name: 'eth0', sandbox: box.path }], ips: [] }
    const caller = new PluginCaller(bandwidth(new HostedKernel(host.path)), box.path, {})
    try {
      const config = (more: object): object => ({
        cniVersion: '1.0.0',
        name: 'net1',
        type: 'bandwidth',
        prevResult,
        ...more
      })
      body({ host, box, caller, config })
    } finally {
      caller.close()
    }
  })
}

interface TcQdisc {
  readonly kind: string
  readonly dev: string
  readonly handle: string
  readonly parent?: string
  readonly root?: boolean
  readonly options: Readonly<Record<string, unknown>>
}

/** Without the qdiscs that every link has. */
function qdiscs(host: Namespace): readonly TcQdisc[] {
  const list: readonly TcQdisc[] = JSON.parse(must(host, 'tc', '-j', '-d', 'qdisc'))
  return list.filter(one => one.kind !== 'noqueue')
}

function filters(host: Namespace): string {
  return must(host, 'tc', 'filter', 'show', 'dev', 'vh', 'ingress')
}

function reference(veth: Veth, command: string, config: object, ifName = 'eth0'): string {
  const outcome = veth.host.run(join(REFERENCE_DIR, 'bandwidth'), [], {
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'c1',
      CNI_NETNS: veth.box.path,
      CNI_IFNAME: ifName,
      CNI_PATH: REFERENCE_DIR
    },
    input: JSON.stringify(config)
  })
  if (outcome.status !== 0) throw new Error(`reference ${command}: ${outcome.stdout}`)
  return outcome.stdout
}

test('tc shows the same after our ADD as after that of the reference plugin, and each CHECK accepts the other', () => {
  const limits: readonly object[] = [
    BOTH,
    { ingressRate: 1_000_000, ingressBurst: 8_000_000 },
    { egressRate: 123_456_789, egressBurst: 98_765_432 },
    // What containerd sends for kubernetes.io/ingress-bandwidth: 1M.
    { runtimeConfig: { bandwidth: { ingressRate: 1_000_000, ingressBurst: 4_294_967_295 } } }
  ]
  for (const limit of limits) {
    let theirs: readonly TcQdisc[] = []
    withVeth(veth => {
      reference(veth, 'ADD', veth.config(limit))
      theirs = qdiscs(veth.host)
      veth.caller.ok('CHECK', { config: veth.config(limit) })
    })
    withVeth(veth => {
      veth.caller.ok('ADD', { config: veth.config(limit) })
      assert.equal(qdiscs(veth.host), theirs, JSON.stringify(limit))
      assert.ok(theirs.length > 0)
      reference(veth, 'CHECK', veth.config(limit))
    })
  }
})

test('all that comes in by the veth is redirected to the ifb; links as iproute2 sees them; DEL leaves none', () => {
  withVeth(veth => {
    const { host, caller, config } = veth
    const result = caller.ok('ADD', { config: config(BOTH) })
    const shown = filters(host)
    assert.match(shown, /protocol all pref 1 u32/)
    assert.match(shown, /match 00000000\/00000000 at 0/)
    assert.match(shown, new RegExp(`mirred \\(Egress Redirect to device ${IFB}\\) stolen`))
    const [ifb] = JSON.parse(must(host, 'ip', '-j', '-d', 'link', 'show', 'dev', IFB))
    assert.is(ifb.linkinfo.info_kind, 'ifb')
    assert.is(ifb.mtu, 1400)
    assert.is(ifb.txqlen ?? 0, 0)
    assert.ok(ifb.flags.includes('UP'))
    assert.equal(result.interfaces[2], { name: IFB, mac: ifb.address })
    caller.ok('DEL', { config: config(BOTH) })
    assert.equal(qdiscs(host), [])
    assert.is(filters(host), '')
    assert.equal(linkNames(host), ['vh'])
  })
})

test('rates above 32 bits, and bursts too short for microseconds', () => {
  withVeth(veth => {
    const { host, caller, config } = veth
    const limits = {
      ingressRate: 100_000_000_000,
      ingressBurst: 8_000_000,
      egressRate: 40_000_000_000,
      egressBurst: 96_000
    }
    const result = caller.ok('ADD', { config: config(limits) })
    const rates = qdiscs(host).flatMap(one => (one.kind === 'tbf' ? [one.options['rate']] : []))
    assert.equal(rates, [12_500_000_000, 5_000_000_000])
    caller.ok('CHECK', { config: config({ ...limits, prevResult: result }) })
  })
})

test('a packet of full size passes a bucket that lasts less than a microsecond for it', () => {
  withVeth(veth => {
    const { host, box, caller, config } = veth
    ip(host, 'addr add 10.0.0.1/24 dev vh')
    ip(box, 'addr add 10.0.0.2/24 dev eth0')
    const limits = {
      ingressRate: 80_000_000_000,
      ingressBurst: 8 * 1500,
      egressRate: 80_000_000_000,
      egressBurst: 8 * 1500
    }
    caller.ok('ADD', { config: config(limits) })
    must(box, 'ping', '-c', '1', '-W', '2', '-s', '1372', '10.0.0.1')
  })
})

test("the reference plugin's DEL removes our ifb, and ours all that the reference made", () => {
  withVeth(veth => {
    const { host, caller, config } = veth
    caller.ok('ADD', { config: config(BOTH) })
    reference(veth, 'DEL', config(BOTH))
    assert.equal(linkNames(host), ['vh'])
    // Its DEL leaves the queues to the end of the veth; ours takes them away.
    caller.ok('DEL', { config: config(BOTH) })
    assert.equal(qdiscs(host), [])
    assert.equal(caller.journal(), [])

    reference(veth, 'ADD', config(BOTH))
    caller.ok('DEL', { config: config(BOTH) })
    assert.equal(linkNames(host), ['vh'])
    assert.equal(qdiscs(host), [])
  })
})

test('two interfaces of one container; DEL of one leaves the other limited', () => {
  withVeth(veth => {
    const { host, box, caller, config } = veth
    ip(host, 'link add vh2 type veth peer name vc')
    ip(host, `link set vc netns ${String(box.pid)} name eth1 up`)
    caller.ok('ADD', { config: config(BOTH) })
    caller.ok('ADD', { config: config(BOTH), ifName: 'eth1' })
    assert.equal(linkNames(host), [IFB, ownIfbName({ ...C1, ifName: 'eth1' }), 'vh', 'vh2'].sort())
    caller.ok('DEL', { config: config(BOTH) })
    assert.equal(
      qdiscs(host).map(one => one.dev),
      ['vh2', 'vh2', ownIfbName({ ...C1, ifName: 'eth1' })]
    )
    caller.ok('DEL', { config: config(BOTH), ifName: 'eth1', netns: '' })
    assert.equal(qdiscs(host), [])
    assert.equal(linkNames(host), ['vh', 'vh2'])
  })
})

test('GC and DEL after the namespace is gone remove the ifb', () => {
  for (const way of ['GC', 'DEL']) {
    withVeth(veth => {
      const { host, box, caller, config } = veth
      caller.ok('ADD', { config: config(BOTH) })
      ip(box, 'link del eth0')
      assert.equal(linkNames(host), [IFB])
      if (way === 'DEL') caller.ok('DEL', { config: config({ prevResult: undefined }), netns: '/run/netns/nowhere' })
      else assert.is(caller.gc([]).status, 0)
      assert.equal(linkNames(host), [])
      assert.equal(caller.journal(), [])
    })
  }
})

test('clsact of another program is left alone', () => {
  withVeth(veth => {
    const { host, caller, config } = veth
    must(host, 'tc', 'qdisc', 'add', 'dev', 'vh', 'clsact')
    const error = caller.fails('ADD', { config: config(BOTH) })
    assert.match(error.msg, /its qdisc "clsact" is in use/)
    assert.equal(
      qdiscs(host).map(one => one.kind),
      ['clsact']
    )
    assert.equal(linkNames(host), ['vh'])
    assert.equal(caller.journal(), [])
  })
})

test.run()
