import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatMac, parseMac } from '../../lib/ip/mac.ts'
import { sweepFailures } from '../../lib/testing/failure-sweep.ts'
import { BOX, type FakeAttachment, withFakeKernel } from '../../lib/testing/fake-attachment.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { tuning } from './tuning.ts'

const test = suite('plugins/tuning')

const OWN_MAC = '0a:00:00:00:00:01'

const PREV_RESULT = {
  cniVersion: '1.1.0',
  interfaces: [
    { name: 'eth0', mac: '0a:00:00:00:00:99' },
    { name: 'eth0', mac: OWN_MAC, mtu: 1500, sandbox: BOX }
  ],
  ips: [{ address: '192.0.2.7/24', interface: 1 }]
}

interface Tuned extends FakeAttachment {
  readonly dataDir: string
  /** Calls with these keys of the configuration. */
  readonly config: (more?: object) => { readonly config: object }
}

/** A container with `eth0`, sysctls that have been written before, and the allow-list, when one is given. */
function withInterface(body: (tuned: Tuned) => void, allowlist?: string): void {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-test-'))
  const path = join(directory, 'allowlist.conf')
  if (allowlist !== undefined) writeFileSync(path, allowlist)
  try {
    withFakeKernel(
      kernel => tuning(kernel, path),
      { prevResult: PREV_RESULT },
      fake => {
        const box = fake.kernel.open(BOX)
        box.links.add({ name: 'eth0', kind: { kind: 'dummy' }, mtu: 1500, up: true, mac: parseMac(OWN_MAC) })
        for (const sysctl of ['core/somaxconn', 'ipv4/conf/eth0/arp_filter']) box.sysctls.write(sysctl, '0')
        const dataDir = join(directory, 'data')
        body({ ...fake, dataDir, config: (more = {}) => ({ config: { dataDir, ...more } }) })
      }
    )
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const ALL = {
  sysctl: { 'net.core.somaxconn': '500', 'net.ipv4.conf.IFNAME.arp_filter': '1' },
  mac: '02:11:22:33:44:55',
  mtu: 1400,
  promisc: true,
  allmulti: true,
  txQLen: 77
}

test('everything set, CHECK agrees, DEL puts the interface back and keeps the sysctls', () => {
  withInterface(({ kernel, caller, box, dataDir, config }) => {
    const before = box()[1]
    const result = caller.ok('ADD', config(ALL))
    assert.match(box()[1] ?? '', /^ {2}eth0 dummy up mtu 1400 mac 02:11:22:33:44:55 promisc allmulti txqueuelen 77$/)
    assert.equal(result.interfaces, [
      { name: 'eth0', mac: '0a:00:00:00:00:99' },
      { name: 'eth0', mac: '02:11:22:33:44:55', mtu: 1400, sandbox: BOX }
    ])
    assert.equal(result.ips, PREV_RESULT.ips)
    assert.is(kernel.open(BOX).sysctls.read('core/somaxconn'), '500')
    assert.is(kernel.open(BOX).sysctls.read('ipv4/conf/eth0/arp_filter'), '1')
    caller.ok('CHECK', config({ ...ALL, prevResult: result }))
    caller.ok('DEL', config(ALL))
    assert.is(box()[1], before)
    assert.is(kernel.open(BOX).sysctls.read('core/somaxconn'), '500')
    assert.equal(readdirSync(dataDir), [])
    caller.ok('DEL', config(ALL))
  })
})

test('what is saved has the names and values of the reference plugin, and only what was changed', () => {
  withInterface(({ caller, dataDir, config }) => {
    caller.ok('ADD', config(ALL))
    const { mac, promisc, mtu, allmulti, txQLen } = JSON.parse(readFileSync(join(dataDir, 'c1_eth0.json'), 'utf8'))
    assert.equal(
      { mac, promisc, mtu, allmulti, txQLen },
      {
        mac: OWN_MAC,
        promisc: false,
        mtu: 1500,
        allmulti: false,
        txQLen: 1000
      }
    )
    caller.ok('DEL', config(ALL))
    caller.ok('ADD', config({ mtu: 1300 }))
    const saved = JSON.parse(readFileSync(join(dataDir, 'c1_eth0.json'), 'utf8'))
    assert.equal(
      [saved.mtu, saved.mac, saved.promisc, saved.allmulti, saved.txQLen],
      [1500, undefined, undefined, undefined, undefined]
    )
  })
})

test('nothing to tune: the result goes through, the namespace need not exist, nothing is written', () => {
  withInterface(({ kernel, caller, dataDir, config }) => {
    const before = kernel.toText()
    for (const nothing of [{}, { sysctl: {}, mtu: 0, promisc: false }, { sysctl: null, mac: '' }]) {
      const options = { ...config(nothing), netns: '/run/netns/nowhere' }
      assert.equal(caller.ok('ADD', options), { ...PREV_RESULT, dns: {} })
      caller.ok('CHECK', options)
      caller.ok('DEL', options)
    }
    assert.is(kernel.toText(), before)
    assert.not.ok(existsSync(dataDir))
  })
})

test('an ADD that fails at any step leaves everything as it was', () => {
  withInterface(({ kernel, caller, dataDir, config }) => {
    const changes = sweepFailures(kernel, caller, () => {
      const answer = caller.call('ADD', config(ALL))
      if (answer.status !== 0) assert.equal(existsSync(dataDir) ? readdirSync(dataDir) : [], [])
      return answer
    })
    assert.equal(changes, [
      'write sysctl "core/somaxconn" = "500"',
      'write sysctl "ipv4/conf/eth0/arp_filter" = "1"',
      'set link'
    ])
  })
})

test('an ADD that fails keeps what an earlier one has saved', () => {
  withInterface(({ kernel, caller, dataDir, config }) => {
    caller.ok('ADD', config({ mtu: 1400 }))
    const saved = readFileSync(join(dataDir, 'c1_eth0.json'), 'utf8')
    kernel.failAt(1)
    assert.match(caller.fails('ADD', config({ mtu: 1300 })).msg, /EIO/)
    assert.is(readFileSync(join(dataDir, 'c1_eth0.json'), 'utf8'), saved)
  })
})

test('a MAC comes from runtimeConfig, args.cni, CNI_ARGS, the configuration: the first that has one', () => {
  const runtimeConfig = { mac: '02:00:00:00:00:01' }
  const args = { cni: { mac: '02:00:00:00:00:02' } }
  const cases: readonly [object, string, string][] = [
    [{ mac: '02:00:00:00:00:04', args, runtimeConfig }, 'MAC=02:00:00:00:00:03', '02:00:00:00:00:01'],
    [{ mac: '02:00:00:00:00:04', args }, 'MAC=02:00:00:00:00:03', '02:00:00:00:00:02'],
    [{ mac: '02:00:00:00:00:04' }, 'IgnoreUnknown=1;MAC=02:00:00:00:00:03;K=V', '02:00:00:00:00:03'],
    [{ mac: '02:00:00:00:00:04' }, '', '02:00:00:00:00:04'],
    [{ RuntimeConfig: { MAC: '02:00:00:00:00:05' } }, '', '02:00:00:00:00:05']
  ]
  for (const [more, variable, expected] of cases) {
    withInterface(({ kernel, caller, config }) => {
      caller.ok('ADD', { ...config(more), args: variable })
      const mac = kernel.open(BOX).links.get('eth0').mac
      assert.is(mac === undefined ? '' : formatMac(mac), expected)
    })
  }
})

test('args.cni replaces every other key', () => {
  withInterface(({ kernel, caller, box, config }) => {
    const cni = {
      sysctl: { 'net/core/somaxconn': '700' },
      promisc: false,
      mtu: 1280,
      allmulti: false,
      txQLen: 5
    }
    caller.ok('ADD', config({ ...ALL, mac: undefined, args: { cni } }))
    assert.match(box()[1] ?? '', /^ {2}eth0 dummy up mtu 1280 mac 0a:00:00:00:00:01 txqueuelen 5$/)
    assert.is(kernel.open(BOX).sysctls.read('core/somaxconn'), '700')
    assert.is(kernel.open(BOX).sysctls.read('ipv4/conf/eth0/arp_filter'), '1')
  })
})

test('mistakes are named with key and value, all at once, and nothing is changed', () => {
  withInterface(({ kernel, caller, dataDir, config }) => {
    const before = kernel.toText()
    const cases: readonly [object, RegExp][] = [
      [{ sysctl: { 'kernel.panic': '1' } }, /sysctl\.kernel\.panic must be the key of a sysctl below net.*got "1"/],
      [{ sysctl: { 'net/../kernel/panic': '1' } }, /must be the key of a sysctl below net/],
      [{ sysctl: { 'net.core.somaxconn': 5 } }, /sysctl\.net\.core\.somaxconn must be a string, got 5/],
      [{ sysctl: { 'net.core.somaxconn': null } }, /sysctl\.net\.core\.somaxconn must be a string/],
      [
        { sysctl: { 'net.core.somaxconn': '1', 'net/core/somaxconn': '2' } },
        /must not name a sysctl that another key names \(\/proc\/sys\/net\/core\/somaxconn\), got "2"/
      ],
      [{ mtu: 67 }, /mtu must be 0 or an integer from 68 to 65536, got 67/],
      [{ mtu: '1500' }, /mtu must be an integer from 0 to 65536, got "1500"/],
      [{ mac: 'blue' }, /mac must be a MAC address of six bytes, got "blue"/],
      [{ txQLen: -1 }, /txQLen must be an integer from 0 to 2147483647, got -1/],
      [{ promisc: 'yes' }, /promisc must be true or false, got "yes"/],
      [{ dataDir: 'state' }, /dataDir must be an absolute path, got "state"/],
      [{ mtu: 1, txQLen: 'x', allmulti: 3 }, /mtu must be.*allmulti must be.*txQLen must be/]
    ]
    for (const [more, message] of cases) {
      for (const command of ['ADD', 'CHECK', 'STATUS']) {
        const error = caller.fails(command, config(more))
        assert.is(error.code, 7, JSON.stringify(more))
        assert.match(error.msg, message)
      }
    }
    const twice = { sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1', 'net.ipv4.conf.eth0.arp_filter': '0' } }
    assert.match(caller.fails('ADD', config(twice)).msg, /that another key names/)
    assert.is(caller.fails('ADD', { ...config(), args: 'MAC=red' }).code, 4)
    assert.is(caller.fails('ADD', config({ prevResult: undefined })).code, 7)
    assert.is(kernel.toText(), before)
    assert.not.ok(existsSync(dataDir))
  })
})

test('ten thousand sysctls are judged in one pass', () => {
  withInterface(({ kernel, caller, config }) => {
    const before = kernel.toText()
    const many = (count: number, more: object = {}) => {
      const keys = Array.from({ length: count }, (_, i) => `net.ipv4.conf.link${i}.arp_filter`)
      return { sysctl: { ...Object.fromEntries(keys.map(key => [key, '1'])), ...more } }
    }
    // None of them exists, which is found at the first; that each is a key of its own is found for all before.
    assert.match(caller.fails('ADD', config(many(10_000))).msg, /"net\.ipv4\.conf\.link0\.arp_filter" to "1": ENOENT/)
    const error = caller.fails('ADD', config(many(10_000, { 'net/ipv4/conf/link7/arp_filter': '2' })))
    assert.match(error.msg, /arp_filter must not name a sysctl that another key names .*link7/)
    assert.is(kernel.toText(), before)
  })
})

test('a sysctl that does not exist: the error names it, and what was written before is put back', () => {
  withInterface(({ kernel, caller, config }) => {
    const before = kernel.toText()
    const error = caller.fails('ADD', config({ sysctl: { 'net.core.somaxconn': '9', 'net.ipv4.conf.nope.x': '1' } }))
    assert.match(error.msg, /set sysctl "net\.ipv4\.conf\.nope\.x" to "1": ENOENT/)
    assert.is(kernel.toText(), before)
  })
})

test('the allow-list: every key must be matched by one of its expressions', () => {
  withInterface(({ caller, config }) => {
    caller.ok('ADD', config({ sysctl: { 'net.core.somaxconn': '1', 'net.ipv4.conf.IFNAME.arp_filter': '1' } }))
    const refused = { sysctl: { 'net.core.somaxconn': '1', 'net.ipv4.ip_forward': '1', 'net/core/rmem_max': '2' } }
    const error = caller.fails('ADD', config(refused))
    assert.is(error.code, 7)
    assert.match(error.msg, /set sysctl "net\.ipv4\.ip_forward", "net\/core\/rmem_max": not in the allow-list/)
    assert.is(caller.fails('STATUS', config(refused)).code, 50)
    caller.ok('STATUS', config({ sysctl: { 'net.core.somaxconn': '1' } }))
    caller.ok('ADD', config({ mtu: 1400 }))
  }, '^net\\.core\\.\n\n  net.ipv4.conf.IFNAME.[a-z_]*$  \n')
  withInterface(({ caller, config }) => {
    assert.is(caller.fails('ADD', config({ sysctl: { 'net.core.somaxconn': '1' } })).code, 7)
  }, '')
  for (const line of ['(', '^net[[:alpha:]]*$', '\\Qnet.core\\E']) {
    withInterface(({ caller, config }) => {
      const error = caller.fails('ADD', config({ sysctl: { 'net.core.somaxconn': '1' } }))
      assert.match(error.msg, /is no regular expression/)
      assert.ok(error.msg.includes(JSON.stringify(line)))
    }, `net.core\n${line}\n`)
  }
})

test('CHECK names each difference', () => {
  withInterface(({ kernel, caller, config }) => {
    const result = caller.ok('ADD', config(ALL))
    const net = kernel.open(BOX)
    const { index } = net.links.get('eth0')
    net.links.set(index, {
      mtu: 1300,
      promiscuous: false,
      allMulticast: false,
      txQueueLength: 1,
      mac: parseMac(OWN_MAC)
    })
    net.sysctls.write('core/somaxconn', '4')
    const error = caller.fails('CHECK', config({ ...ALL, prevResult: result }))
    assert.is(error.code, 100)
    for (const part of [
      'sysctl "net.core.somaxconn" is "4", not "500"',
      'link "eth0" has MAC 0a:00:00:00:00:01, not 02:11:22:33:44:55',
      'link "eth0" has MTU 1300, not 1400',
      'link "eth0" is not promiscuous',
      'link "eth0" does not receive all multicast',
      'link "eth0" has a queue of 1 packets, not 77'
    ]) {
      assert.ok(error.msg.includes(part), `${part} in ${error.msg}`)
    }
  })
})

test('DEL without namespace, without interface, with a torn file: the file goes', () => {
  withInterface(({ kernel, caller, dataDir, config }) => {
    for (const netns of ['', '/run/netns/nowhere']) {
      caller.ok('ADD', config({ mtu: 1400 }))
      caller.ok('DEL', { ...config({ mtu: 'changed' }), netns })
      assert.equal(readdirSync(dataDir), [])
    }
    writeFileSync(join(dataDir, 'c1_eth0.json'), '{"mtu":')
    caller.ok('DEL', config())
    caller.ok('ADD', config({ mtu: 1300 }))
    kernel.open(BOX).links.remove('eth0')
    caller.ok('DEL', config())
    assert.equal(readdirSync(dataDir), [])
  })
})

test('DEL restores what it can, reports what it cannot, and tries that again', () => {
  withInterface(({ kernel, caller, box, dataDir, config }) => {
    const before = box()[1]
    caller.ok('ADD', config(ALL))
    kernel.failAt(1)
    assert.match(caller.fails('DEL', config()).msg, /EIO/)
    assert.match(box()[1] ?? '', /^ {2}eth0 dummy up mtu 1400 mac 0a:00:00:00:00:01$/)
    assert.equal(readdirSync(dataDir), ['c1_eth0.json'])
    caller.ok('DEL', config())
    assert.is(box()[1], before)
    assert.equal(readdirSync(dataDir), [])
  })
})

test('GC removes what was saved of unknown attachments of its network, and nothing else', () => {
  withInterface(({ caller, dataDir, config }) => {
    for (const containerId of ['c1', 'c2']) caller.ok('ADD', { ...config({ mtu: 1400 }), containerId })
    caller.ok('ADD', { ...config({ mtu: 1400, name: 'other' }), containerId: 'c3' })
    // As the reference plugin writes it: nobody can tell whose it is.
    writeFileSync(join(dataDir, 'c4_eth0.json'), '{"mtu": 1500}')
    const valid = [{ containerID: 'c2', ifname: 'eth0' }]
    caller.ok('GC', config({ 'cni.dev/valid-attachments': valid }))
    assert.equal(readdirSync(dataDir).sort(), ['c2_eth0.json', 'c3_eth0.json', 'c4_eth0.json'])
  })
})

test.run()
