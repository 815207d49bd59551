// needs: ip reference-plugins
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ip, ipLink, must } from '../../lib/testing/ip-json.ts'
import { type Namespace, withNamespaces } from '../../lib/testing/namespace.ts'
import { HostedKernel, PluginCaller } from '../../lib/testing/plugin-caller.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { REFERENCE_DIR } from '../../lib/testing/world.ts'
import { tuning } from './tuning.ts'

const test = suite('plugins/tuning on the kernel')

const ALL = {
  sysctl: {
    'net.core.somaxconn': '500',
    'net.ipv4.conf.IFNAME.arp_filter': '1',
    'net.ipv4.tcp_rmem': '4096 8192 16384'
  },
  mac: '02:11:22:33:44:55',
  mtu: 1400,
  promisc: true,
  allmulti: true,
  txQLen: 77
}

interface Box {
  readonly box: Namespace
  readonly caller: PluginCaller
  readonly dataDir: string
  /** A configuration for `ifName`, with what ADD needs. */
  readonly config: (more: object) => object
  readonly sysctl: (path: string) => string
  readonly state: () => readonly unknown[]
}

function withBox(ifName: string, body: (box: Box) => void): void {
  withNamespaces(2, (host, box) => {
    ip(host, 'link add vh type veth peer name vc')
    ip(host, `link set vc netns ${String(box.pid)} name ${ifName} up`)
    const prevResult = { interfaces: [{ name: 'vh' }, { name: ifName, sandbox: box.path }], ips: [] }
    const caller = new PluginCaller(tuning(new HostedKernel(host.path), '/proc/nonexistent'), box.path, {})
    const dataDir = join(caller.directory, 'data')
    try {
      body({
        box,
        caller,
        dataDir,
        config: more => ({ cniVersion: '1.0.0', name: 'net1', type: 'tuning', dataDir, prevResult, ...more }),
        sysctl: path => must(box, 'cat', `/proc/sys/net/${path}`).trim(),
        state: () => {
          const { address, mtu, flags, ...rest } = ipLink(box, ifName)
          const modes = flags.filter(flag => flag === 'PROMISC' || flag === 'ALLMULTI')
          return [address, mtu, modes, 'txqlen' in rest ? rest.txqlen : undefined]
        }
      })
    } finally {
      caller.close()
    }
  })
}

test('what the kernel refuses is not said to be left: nothing changed', () => {
  withBox('eth0', ({ caller, config, state, dataDir }) => {
    const before = state()
    // More than a veth takes: EINVAL, before anything else of the request is set or after.
    for (const more of [{ mtu: 65_536 }, { mac: '02:11:22:33:44:55', mtu: 65_536, promisc: true }]) {
      const error = caller.fails('ADD', { config: config(more) })
      assert.match(error.msg, /^set link [0-9]+: EINVAL \([^()]*\)$/)
      assert.equal(state(), before)
      assert.equal(existsSync(dataDir) ? readdirSync(dataDir) : [], [])
    }
  })
})

test('everything set as iproute2 and /proc see it; CHECK agrees; DEL restores', () => {
  withBox('eth0', ({ caller, dataDir, config, sysctl, state }) => {
    const before = state()
    const result = caller.ok('ADD', { config: config(ALL) })
    assert.equal(state(), ['02:11:22:33:44:55', 1400, ['ALLMULTI', 'PROMISC'], 77])
    assert.is(sysctl('core/somaxconn'), '500')
    assert.is(sysctl('ipv4/conf/eth0/arp_filter'), '1')
    assert.is(sysctl('ipv4/tcp_rmem'), '4096\t8192\t16384')
    assert.is(result.interfaces[1]?.mac, '02:11:22:33:44:55')
    caller.ok('CHECK', { config: config({ ...ALL, prevResult: result }) })
    caller.ok('DEL', { config: config(ALL) })
    assert.equal(state(), before)
    assert.equal(readdirSync(dataDir), [])
  })
})

test('interface names with dots, by IFNAME and as they are', () => {
  withBox('eth0.5', ({ caller, config, sysctl }) => {
    const keys = [
      ['net.ipv4.conf.IFNAME.arp_filter', 'ipv4/conf/eth0.5/arp_filter'],
      ['net/ipv4/conf/IFNAME/arp_announce', 'ipv4/conf/eth0.5/arp_announce'],
      ['net.ipv4.conf.eth0.5.arp_notify', 'ipv4/conf/eth0.5/arp_notify'],
      ['net/ipv4/conf/eth0.5/arp_ignore', 'ipv4/conf/eth0.5/arp_ignore'],
      ['net.ipv6.conf.IFNAME.autoconf', 'ipv6/conf/eth0.5/autoconf'],
      ['net.ipv6.neigh.eth0/5.app_solicit', 'ipv6/neigh/eth0.5/app_solicit']
    ] as const
    const values = keys.map(([key]) => [key, key.includes('autoconf') ? '0' : '1'])
    caller.ok('ADD', { config: config({ sysctl: Object.fromEntries(values) }), ifName: 'eth0.5' })
    assert.equal(
      keys.map(([, path]) => sysctl(path)),
      values.map(([, value]) => value)
    )
  })
})

test('a failing attribute: the ones before it are as they were, and so are the sysctls', () => {
  withBox('eth0', ({ caller, dataDir, config, sysctl, state }) => {
    const before = [state(), sysctl('core/somaxconn')]
    // More than a veth takes: the kernel refuses it after the MAC is set, and the sysctls are written.
    const error = caller.fails('ADD', { config: config({ ...ALL, mtu: 65_536 }) })
    assert.match(error.msg, /^set link [0-9]+: EINVAL/, error.msg)
    assert.equal([state(), sysctl('core/somaxconn')], before)
    assert.equal(readdirSync(dataDir), [])
    assert.match(caller.fails('ADD', { config: config({ mtu: 1400 }), ifName: 'eth7' }).msg, /"eth7": ENODEV/)
  })
})

test('a container that makes its interface unfit for what it was does not keep itself from being removed', () => {
  withBox('eth0', ({ box, caller, dataDir, config }) => {
    caller.ok('ADD', { config: config({ mtu: 1400, mac: '02:11:22:33:44:55' }) })
    for (const line of [
      'link set eth0 down',
      'link set eth0 name mine mtu 1300',
      'link add link mine name eth0 type macvlan mode passthru',
      'link set mine up',
      'link set eth0 up'
    ]) {
      ip(box, line)
    }
    caller.ok('DEL', { config: config({ mtu: 1400 }) })
    assert.equal(readdirSync(dataDir), [])
    assert.is(ipLink(box, 'eth0').mtu, 1300, 'what the container made is left alone')
  })
})

test('the MAC of lo, which cannot be set back', () => {
  withBox('eth0', ({ box, caller, dataDir, config }) => {
    const prevResult = { interfaces: [{ name: 'lo', sandbox: box.path }], ips: [] }
    const lo = { config: config({ mac: '02:11:22:33:44:55', prevResult }), ifName: 'lo' }
    if (caller.call('ADD', lo).status === 0) caller.ok('DEL', lo)
    assert.equal(existsSync(dataDir) ? readdirSync(dataDir) : [], [])
  })
})

test('a sysctl that the kernel refuses: the key, the reason and what to do; nothing is said to be left', () => {
  withBox('eth0', ({ caller, config }) => {
    const refused: readonly (readonly [string, string, RegExp])[] = [
      ['net.core.somaxconn', 'blue', /^set sysctl "net\.core\.somaxconn" to "blue": EINVAL$/],
      ['net.ipv4.no_such', '1', /^set sysctl "net\.ipv4\.no_such" to "1": ENOENT$/],
      // One of the machine, which only the first namespace may change.
      ['net.netfilter.nf_conntrack_max', '100', /^set sysctl "net\.netfilter\.nf_conntrack_max" to "100": E[A-Z]+$/]
    ]
    for (const [key, value, message] of refused) {
      const error = caller.fails('ADD', { config: config({ sysctl: { [key]: value } }) })
      assert.is(error.code, 7)
      assert.match(error.msg, message)
      assert.ok((error.details ?? '') !== '')
    }
  })
})

test('a list of numbers of which only the first are given', () => {
  withBox('eth0', ({ caller, config, sysctl }) => {
    const last = sysctl('ipv4/tcp_rmem').split('\t')[2]
    const some = config({ sysctl: { 'net.ipv4.tcp_rmem': '4096 8192' } })
    caller.ok('ADD', { config: some })
    assert.is(sysctl('ipv4/tcp_rmem'), `4096\t8192\t${last}`)
    caller.ok('CHECK', { config: some })
  })
})

test('a sysctl that is only to be written', () => {
  withBox('eth0', ({ caller, config }) => {
    const flush = config({ sysctl: { 'net.ipv4.route.flush': '1' } })
    const result = caller.ok('ADD', { config: flush })
    caller.ok('CHECK', { config: { ...flush, prevResult: result } })
    caller.ok('DEL', { config: flush })
  })
})

test('the reference plugin: the DEL of either restores what the other has saved', () => {
  for (const [first, second] of [
    ['ours', 'theirs'],
    ['theirs', 'ours']
  ]) {
    withBox('eth0', ({ box, caller, dataDir, config, state }) => {
      const before = state()
      // txQLen is younger than the packaged reference plugin.
      const known = { ...ALL, txQLen: undefined }
      // The runtime keeps the result of the whole chain: whose interface it is can be told by its MAC.
      const interfaces = [{ name: 'eth0', sandbox: box.path, mac: ALL.mac }]
      const call = (who: string | undefined, command: string): void => {
        const told = command === 'DEL' ? { ...known, prevResult: { interfaces, ips: [] } } : known
        if (who === 'ours') caller.ok(command, { config: config(told) })
        else reference(box, command, config(told))
      }
      call(first, 'ADD')
      const tuned = state()
      assert.is(tuned[0], '02:11:22:33:44:55')
      call(second, 'DEL')
      assert.equal(state(), before, `${first} ADD, ${second} DEL`)
      assert.equal(existsSync(dataDir) ? readdirSync(dataDir) : [], [])
    })
  }
})

function reference(box: Namespace, command: string, config: object): void {
  const outcome = box.run(join(REFERENCE_DIR, 'tuning'), [], {
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'c1',
      CNI_NETNS: box.path,
      CNI_IFNAME: 'eth0',
      CNI_PATH: REFERENCE_DIR
    },
    input: JSON.stringify(config)
  })
  if (outcome.status !== 0) throw new Error(`reference ${command}: ${outcome.stdout}`)
}

test.run()
