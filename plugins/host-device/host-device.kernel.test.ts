import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hashedName } from '../../lib/attach/attachment.ts'
import { ip, ipAddresses, ipLink, ipRoutes, linkNames, routeLine } from '../../lib/testing/ip-json.ts'
import { type Namespace, withNamespaces } from '../../lib/testing/namespace.ts'
import { HostedKernel, PluginCaller } from '../../lib/testing/plugin-caller.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { hostDevice } from './host-device.ts'

const test = suite('plugins/host-device on the kernel')

const RESULT = { ips: [{ address: '192.0.2.7/24', gateway: '192.0.2.1' }], routes: [{ dst: '0.0.0.0/0' }] }
const IPAM = { type: 'fixed', result: RESULT }
const MAC = '02:00:00:00:00:42'
const PCI = '0000:3b:00.1'

interface World {
  readonly host: Namespace
  readonly box: Namespace
  readonly caller: PluginCaller
}

/**
 * A host with a device `eth2`, up, with an alias and MTU of its own. /sys shows the machine's own namespace only, so a
 * folder of the same shape stands for it: `eth2` as a PCI device, with a virtio one beside it.
 */
function withDevice(config: object, body: (world: World) => void): void {
  withNamespaces(2, (host, box) => {
    ip(host, `link add eth2 mtu 1400 address ${MAC} type veth peer name eth2p`)
    ip(host, 'link set eth2 alias uplink')
    ip(host, 'link set eth2 up')
    ip(host, 'link set eth2p up')
    const sysfs = mkdtempSync(join(tmpdir(), 'patchbay-sysfs-'))
    const devices = join(sysfs, 'devices/pci0000:3a')
    mkdirSync(join(devices, PCI, 'net/eth2'), { recursive: true })
    mkdirSync(join(devices, '0000:3b:00.2/virtio7/net/eth2'), { recursive: true })
    mkdirSync(join(devices, '0000:3b:00.3'), { recursive: true })
    mkdirSync(join(sysfs, 'bus/pci/drivers/vfio-pci'), { recursive: true })
    mkdirSync(join(sysfs, 'bus/pci/devices'), { recursive: true })
    mkdirSync(join(sysfs, 'bus/auxiliary/devices/mlx5_core.sf.2/net/eth2'), { recursive: true })
    mkdirSync(join(sysfs, 'class/net/eth2'), { recursive: true })
    for (const one of [PCI, '0000:3b:00.2', '0000:3b:00.3']) {
      symlinkSync(join(devices, one), join(sysfs, 'bus/pci/devices', one))
    }
    symlinkSync(join(sysfs, 'bus/pci/drivers/vfio-pci'), join(devices, '0000:3b:00.3/driver'))
    symlinkSync(join(devices, PCI), join(sysfs, 'class/net/eth2/device'))
    const caller = new PluginCaller(hostDevice(new HostedKernel(host.path), sysfs), box.path, config)
    try {
      body({ host, box, caller })
    } finally {
      caller.close()
      rmSync(sysfs, { recursive: true })
    }
  })
}

/** The device as it was before: name, MTU, alias, MAC, up. */
function assertHome(host: Namespace): void {
  const { mtu, ifalias, address, flags } = ipLink(host, 'eth2')
  assert.equal(
    { mtu, ifalias, address, isUp: flags.includes('UP') },
    { mtu: 1400, ifalias: 'uplink', address: MAC, isUp: true }
  )
}

test('ADD moves the device and configures it; CHECK agrees; DEL brings it home as it was, twice', () => {
  withDevice({ device: 'eth2', ipam: IPAM }, ({ host, box, caller }) => {
    const result = caller.ok('ADD')
    assert.equal(linkNames(host), ['eth2p'])
    assert.equal(linkNames(box), ['eth0'])
    assert.equal(result.interfaces, [{ name: 'eth0', mac: MAC, mtu: 1400, sandbox: box.path, pciID: PCI }])
    assert.equal(
      ipAddresses(box, 'eth0').map(one => `${one.local}/${one.prefixlen}`),
      ['192.0.2.7/24']
    )
    assert.equal(ipRoutes(box, 4).map(routeLine)[0], 'default via 192.0.2.1 dev eth0')
    // What the reference plugin reads the old name from.
    assert.is(ipLink(box, 'eth0').ifalias, 'eth2')
    caller.ok('CHECK', { config: { prevResult: result } })
    caller.ok('DEL')
    assert.equal(linkNames(box), [])
    assertHome(host)
    assert.equal([...caller.leases, ...caller.journal()], [])
    caller.ok('DEL')
    assertHome(host)
  })
})

test('the device is found by every name it has', () => {
  const names: readonly object[] = [
    { device: 'eth2' },
    { hwaddr: MAC.toUpperCase() },
    { kernelpath: `/sys/devices/pci0000:3a/${PCI}` },
    { pciBusID: PCI },
    { pciBusID: '0000:3b:00.2' },
    { device: 'other', runtimeConfig: { deviceID: PCI } },
    { runtimeConfig: { deviceID: 'mlx5_core.sf.2' } }
  ]
  for (const name of names) {
    withDevice(name, ({ host, box, caller }) => {
      caller.ok('ADD')
      assert.equal(linkNames(box), ['eth0'], JSON.stringify(name))
      caller.ok('DEL', { netns: '' })
      assertHome(host)
    })
  }
})

test('an alternative name is a name', () => {
  withDevice({ device: 'uplink-port-number-one' }, ({ host, box, caller }) => {
    ip(host, 'link property add dev eth2 altname uplink-port-number-one')
    caller.ok('ADD')
    assert.equal(linkNames(box), ['eth0'])
    caller.ok('DEL')
    assertHome(host)
  })
})

test('a PCI device with a driver for programs: nothing moves, but it has addresses', () => {
  withDevice({ pciBusID: '0000:3b:00.3', ipam: IPAM }, ({ host, box, caller }) => {
    const result = caller.ok('ADD')
    assert.equal([linkNames(host), linkNames(box)], [['eth2', 'eth2p'], []])
    assert.equal(result.interfaces, [{ name: 'eth0', sandbox: box.path, pciID: '0000:3b:00.3' }])
    assert.is(result.ips.length, 1)
    caller.ok('CHECK', { config: { prevResult: result } })
    caller.ok('STATUS')
    caller.ok('DEL')
    assert.equal([...caller.leases, ...caller.journal()], [])
  })
})

test('what cannot be is refused by code and word, the device stays', () => {
  const cases: readonly { readonly config: object; readonly code: number; readonly message: RegExp }[] = [
    { config: {}, code: 7, message: /one \(and only one\) of hwaddr/ },
    { config: { device: 'eth2', hwaddr: MAC }, code: 7, message: /one \(and only one\)/ },
    { config: { device: 'absent' }, code: 7, message: /find device "absent": not on the host/ },
    { config: { hwaddr: '02:00:00:00:00:43' }, code: 7, message: /find device with MAC 02:00:00:00:00:43/ },
    { config: { pciBusID: '0000:ff:00.0' }, code: 7, message: /find PCI device 0000:ff:00\.0: not on the host/ },
    { config: { pciBusID: '3b:00.1' }, code: 7, message: /pciBusID must be like/ },
    { config: { kernelpath: '/sys/class/net/eth2' }, code: 7, message: /kernelpath must begin with \/sys\/devices/ },
    { config: { kernelpath: '/sys/devices/../../etc' }, code: 7, message: /kernelpath must begin/ },
    { config: { runtimeConfig: { deviceID: 'nonsense' } }, code: 7, message: /deviceID must be a PCI address/ },
    { config: { runtimeConfig: { deviceID: '0000:ff:00.0' } }, code: 7, message: /not on the host/ }
  ]
  for (const { config, code, message } of cases) {
    withDevice({ ipam: IPAM, ...config }, ({ host, box, caller }) => {
      const error = caller.fails('ADD')
      assert.is(error.code, code, error.msg)
      assert.match(error.msg, message)
      assertHome(host)
      assert.equal([...linkNames(box), ...caller.leases, ...caller.journal()], [])
      caller.ok('DEL')
    })
  }
})

test('what the kernel moves into no other namespace goes on as it was: up, with its IPv6 address', () => {
  withDevice({ device: 'eth2' }, ({ host, box, caller }) => {
    ip(host, 'link add br7 type bridge')
    ip(box, 'link set lo up')
    for (const name of ['lo', 'br7']) {
      ip(host, `link set ${name} up`)
      ip(host, `addr add 2001:db8::${name === 'lo' ? '1' : '2'}/128 dev ${name} nodad`)
      const state = (): unknown => [ipLink(host, name).flags, ipAddresses(host, name)]
      const before = state()
      const refusal =
        name === 'lo' ? /not on the host/ : /^device must name an .*, got "br7", which is of kind "bridge": .*EINVAL/
      const { code, msg } = caller.fails('ADD', { config: { device: name } })
      assert.match(msg, refusal)
      assert.is(code, 7)
      assert.equal(state(), before)
      caller.ok('DEL', { config: { device: name } })
    }
    assert.equal([linkNames(box), caller.journal()], [[], []])
    assert.ok(ipLink(box, 'lo').flags.includes('UP'), "the container's own lo is not taken for the host's")
    assertHome(host)
  })
})

test('an ADD that fails after the move brings the device home', () => {
  withDevice({ device: 'eth2', ipam: IPAM }, ({ host, box, caller }) => {
    caller.failIpam = true
    assert.match(caller.fails('ADD').msg, /pool is empty/)
    assertHome(host)
    caller.failIpam = false
    const bad = { ips: RESULT.ips, routes: [{ dst: '198.51.100.0/24', gw: '192.0.2.9', scope: 254 }] }
    assert.match(caller.fails('ADD', { config: { ipam: { type: 'fixed', result: bad } } }).msg, /add route/)
    assertHome(host)
    assert.equal([...linkNames(box), ...caller.leases, ...caller.journal()], [])
  })
})

test('a name that is taken in the container is refused before the device moves', () => {
  withDevice({ device: 'eth2' }, ({ host, box, caller }) => {
    ip(box, 'link add eth0 type veth peer name other')
    assert.is(caller.fails('ADD').code, 7)
    assertHome(host)
    caller.ok('DEL')
    assert.equal(linkNames(box), ['eth0', 'other'])
  })
})

test('its own name may be taken in the container', () => {
  withDevice({ device: 'eth2' }, ({ host, box, caller }) => {
    ip(box, 'link add eth2 type veth peer name other')
    caller.ok('ADD')
    assert.equal(linkNames(box), ['eth0', 'eth2', 'other'])
    caller.ok('DEL')
    assertHome(host)
  })
})

test('its name in the container may be taken on the host', () => {
  withDevice({ device: 'eth2' }, ({ host, caller }) => {
    ip(host, 'link add eth0 type veth peer name eth0p')
    caller.ok('ADD')
    caller.ok('DEL')
    assertHome(host)
    assert.equal(linkNames(host), ['eth0', 'eth0p', 'eth2', 'eth2p'])
  })
})

test('a device whose name was taken meanwhile comes home under another, and keeps the old one as alias', () => {
  for (const alsoTaken of [false, true]) {
    withDevice({ device: 'eth2' }, ({ host, box, caller }) => {
      caller.ok('ADD')
      ip(host, 'link add eth2 type veth peer name thief')
      if (alsoTaken) ip(host, 'link add eth0 type veth peer name thief0')
      caller.ok('DEL')
      assert.equal(linkNames(box), [])
      const stray = linkNames(host).filter(
        name => !/^(eth2|eth2p|thief|thief0)$/.test(name) && ipLink(host, name).address === MAC
      )
      assert.is(stray.length, 1, linkNames(host).join(' '))
      assert.is(ipLink(host, stray[0] ?? '').ifalias, 'eth2')
    })
  }
})

/** The name it came home under, which is nobody else's. */
function strayOf(host: Namespace): string {
  return linkNames(host).find(name => name.startsWith('dev')) ?? ''
}

test('it is found by its former name again: by the next ADD, and by GC once that is free', () => {
  for (const isTaken of [false, true]) {
    withDevice({ device: 'eth2' }, ({ host, box, caller }) => {
      caller.ok('ADD')
      ip(host, 'link add eth2 type bridge')
      caller.ok('DEL')
      const stray = strayOf(host)
      assert.is.not(stray, '')
      if (isTaken) {
        assert.is(caller.gc([]).status, 0)
        assert.is(strayOf(host), stray, 'its name is still taken')
        ip(host, 'link del eth2')
        assert.is(caller.gc([]).status, 0)
      } else {
        ip(host, 'link del eth2')
        caller.ok('ADD')
        assert.equal([linkNames(host), ipLink(box, 'eth0').address], [['eth2p'], MAC])
        caller.ok('DEL')
      }
      const { address, flags, ifalias } = ipLink(host, 'eth2')
      assert.equal([address, flags.includes('UP'), ifalias ?? ''], [MAC, true, ''])
    })
  }
})

test('what a container puts in the place of its device stays there; the device comes home from wherever it is', () => {
  const tricks: readonly (readonly string[])[] = [
    ['link set eth0 name stolen', 'link add eth0 type veth peer name tapme', 'link set eth0 alias eth2'],
    [
      'link set eth0 alias mine',
      'link set eth0 name stolen address 02:00:00:00:00:99',
      `link add eth0 address ${MAC} type veth peer name tapme`,
      'link set eth0 alias eth2'
    ]
  ]
  for (const lines of tricks) {
    withDevice({ device: 'eth2' }, ({ host, box, caller }) => {
      caller.ok('ADD')
      ip(box, 'link set eth0 down')
      for (const line of lines) ip(box, line)
      caller.ok('DEL')
      assert.equal(
        [linkNames(host), linkNames(box)],
        [
          ['eth2', 'eth2p'],
          ['eth0', 'tapme']
        ]
      )
      assertHome(host)
    })
  }
})

test('a device that fell home under the name and alias of another stray is not given away as that', () => {
  withDevice({ device: 'eth2' }, ({ host, box, caller }) => {
    caller.ok('ADD')
    ip(box, 'link set eth0 down')
    const name = hashedName('dev', `eth9 ${MAC}`)
    ip(box, `link set eth0 name ${name} alias eth9`)
    ip(box, `link set ${name} netns ${String(host.pid)}`)
    const other = { containerId: 'c2', ifName: 'eth1' }
    assert.match(caller.fails('ADD', { ...other, config: { device: 'eth9' } }).msg, /not on the host/)
    // A physical one, for which the veth stands, is known by what it was built with.
    ip(host, `link set ${name} alias eth2`)
    caller.ok('DEL')
    assertHome(host)
  })
})

test('a device that a container removed, and one of its own in the place, number and all: that never comes to the host', () => {
  withDevice({ device: 'eth2' }, ({ host, box, caller }) => {
    caller.ok('ADD')
    const { ifindex } = ipLink(box, 'eth0')
    ip(box, 'link del eth0')
    ip(box, `link add eth0 index ${String(ifindex)} address ${MAC} type veth peer name tapme`)
    ip(box, 'link set eth0 alias eth2')
    caller.ok('DEL')
    assert.equal([linkNames(host), linkNames(box)], [[], ['eth0', 'tapme']])
  })
})

test('a device that the end of the namespace sent home gets its name back', () => {
  withDevice({ device: 'eth2' }, ({ host, box, caller }) => {
    caller.ok('ADD')
    // What the kernel does with a physical device: under the container's name, or dev<index>.
    ip(box, 'link set eth0 down')
    ip(box, `link set eth0 name dev7`)
    ip(box, `link set dev7 netns ${String(host.pid)}`)
    assert.equal(linkNames(host), ['dev7', 'eth2p'])
    caller.ok('DEL', { netns: '/run/netns/patchbay-test-absent' })
    assertHome(host)
    assert.equal(caller.journal(), [])
  })
})

test('a device that died with its namespace is no obstacle to DEL', () => {
  withDevice({ device: 'eth2', ipam: IPAM }, ({ host, box, caller }) => {
    caller.ok('ADD')
    ip(box, 'link del eth0')
    caller.ok('DEL')
    assert.equal([...linkNames(host), ...caller.leases, ...caller.journal()], [])
  })
})

test('a device that the reference plugin moved is known by its alias', () => {
  withDevice({ device: 'eth2' }, ({ host, box, caller }) => {
    ip(host, 'link set eth2 alias eth2')
    ip(host, `link set eth2 netns ${String(box.pid)} name eth0`)
    caller.ok('DEL')
    assert.equal(linkNames(host), ['eth2', 'eth2p'])
    // Somebody else's interface has no alias, or one that is no name.
    ip(box, 'link add eth0 type veth peer name other')
    caller.ok('DEL')
    ip(box, 'link set eth0 alias cni_is_not:aname')
    caller.ok('DEL')
    assert.equal(linkNames(box), ['eth0', 'other'])
  })
})

test('a container that renamed its device does not keep it', () => {
  withDevice({ device: 'eth2' }, ({ host, box, caller }) => {
    caller.ok('ADD')
    ip(box, 'link set eth0 down')
    ip(box, 'link set eth0 name mine')
    ip(box, 'link add eth0 type veth peer name other')
    caller.ok('DEL')
    assertHome(host)
    assert.equal(linkNames(box), ['eth0', 'other'], 'and what it put in its place is its own')
  })
})

test('a virtual interface that the container made never comes onto the host', () => {
  withDevice({ device: 'eth2' }, ({ host, box, caller }) => {
    ip(box, 'link add eth0 type veth peer name other')
    for (const alias of ['eth1', 'eth2']) {
      ip(box, `link set eth0 alias ${alias}`)
      caller.ok('DEL')
      assert.equal(linkNames(host), ['eth2', 'eth2p'])
    }
    assert.equal(linkNames(box), ['eth0', 'other'])
  })
})

test('what another plugin changed on the device is undone on its way home', () => {
  withDevice({ device: 'eth2' }, ({ host, box, caller }) => {
    caller.ok('ADD')
    ip(box, 'link set eth0 down')
    ip(box, 'link set eth0 address 02:00:00:00:00:99 mtu 1300')
    caller.ok('DEL')
    assertHome(host)
  })
})

test('of two containers only one gets the device', () => {
  withDevice({ device: 'eth2' }, ({ host, box, caller }) => {
    caller.ok('ADD')
    const error = caller.fails('ADD', { containerId: 'c2', ifName: 'eth1' })
    assert.is(error.code, 7)
    assert.match(error.msg, /not on the host/)
    caller.ok('DEL', { containerId: 'c2', ifName: 'eth1' })
    assert.equal(linkNames(box), ['eth0'])
    // While a container has it, the network is as it should be.
    caller.ok('STATUS')
    caller.ok('DEL')
    assertHome(host)
    ip(host, 'link del eth2')
    assert.is(caller.fails('STATUS').code, 50)
    caller.ok('STATUS', { config: { device: '' } })
  })
})

test('GC brings home the devices of containers that the runtime does not know', () => {
  withDevice({ device: 'eth2' }, ({ host, caller }) => {
    caller.ok('ADD')
    assert.is(caller.gc([{ containerID: 'c1', ifname: 'eth0' }]).status, 0)
    assert.equal(linkNames(host), ['eth2p'])
    assert.is(caller.gc([]).status, 0)
    assertHome(host)
    assert.equal(caller.journal(), [])
  })
})

test.run()
