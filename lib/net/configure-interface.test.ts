import type { IpAddress } from '../ip/address.ts'
import { type IpPrefix, parsePrefix } from '../ip/prefix.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import { FakeKernel } from '../testing/fake-kernel/fake-kernel.ts'
import { assert, suite, throwsLike } from '../testing/suite.ts'
import { configureInterface } from './configure-interface.ts'
import { checkInterface } from './interface-check.ts'
import type { Net } from './net.ts'

const test = suite('lib/net: container')

const BOX = '/run/netns/box'

function prefix(text: string): IpPrefix {
  const parsed = parsePrefix(text)
  if (parsed === undefined) throw new Error(`no prefix: ${text}`)
  return parsed
}

function gateway(text: string): IpAddress {
  return prefix(`${text}/32`).address
}

function withLink(body: (kernel: FakeKernel, box: Net) => void): void {
  const kernel = new FakeKernel()
  kernel.addNamespace(BOX)
  const box = kernel.open(BOX)
  box.links.add({ name: 'eth0', kind: { kind: 'dummy' } })
  body(kernel, box)
}

/** A kernel booted with ipv6.disable=1: the whole folder of sysctls is missing. */
function withoutIpv6(net: Net): Net {
  const read = net.sysctls.read.bind(net.sysctls)
  const write = net.sysctls.write.bind(net.sysctls)
  net.sysctls.read = path => (path.startsWith('ipv6/') ? undefined : read(path))
  net.sysctls.write = (path, value) => {
    if (path.startsWith('ipv6/')) throw new KernelError('write sysctl', JSON.stringify(path), 'ENOENT', '')
    write(path, value)
  }
  return net
}

test('a kernel without IPv6: nothing amiss without IPv6 addresses, a typed error with them', () => {
  withLink((_kernel, box) => {
    const net = withoutIpv6(box)
    const link = net.links.get('eth0')
    configureInterface(net, link, { addresses: [prefix('10.1.0.5/24')], routes: [] })
    assert.is(net.addresses.list(link.index).length, 1)
    throwsLike(() => configureInterface(net, link, { addresses: [prefix('fd00::5/64')], routes: [] }), {
      name: 'KernelError',
      errno: 'EAFNOSUPPORT',
      message: /enable IPv6 on "eth0": EAFNOSUPPORT \(the kernel has no IPv6\)/
    })
  })
})

test('a sysctl that must not be written is an error, one that is absent or on a read-only file system is none', () => {
  withLink((kernel, box) => {
    kernel.failAt(1, 'EPERM')
    const setup = { addresses: [prefix('10.1.0.5/24')], routes: [] }
    throwsLike(() => configureInterface(box, box.links.get('eth0'), setup), { errno: 'EPERM' })
    for (const errno of ['ENOENT', 'EROFS']) {
      kernel.failAt(1, errno)
      configureInterface(box, box.links.get('eth0'), setup)
    }
  })
})

test('a second time changes nothing', () => {
  withLink((kernel, box) => {
    const setup = {
      addresses: [prefix('10.1.0.5/24'), prefix('fd00::5/64')],
      routes: [{ dst: prefix('10.2.0.0/16'), scope: 253 }],
      alias: 'mine'
    }
    configureInterface(box, box.links.get('eth0'), setup)
    const once = kernel.toText()
    configureInterface(box, box.links.get('eth0'), setup)
    assert.is(kernel.toText(), once)
    assert.equal(checkInterface(box, { name: 'eth0', ...setup }), [])
  })
})

test('check: what it is not told it does not look at; what there is besides is no fault', () => {
  withLink((_kernel, box) => {
    const link = box.links.get('eth0')
    configureInterface(box, link, { addresses: [prefix('10.1.0.5/24'), prefix('10.1.0.6/24')], routes: [] })
    assert.equal(checkInterface(box, { name: 'eth0', addresses: [], routes: [] }), [])
    assert.equal(checkInterface(box, { name: 'eth0', addresses: [prefix('10.1.0.6/24')], routes: [] }), [])
    box.links.set(link.index, { up: false })
    assert.equal(checkInterface(box, { name: 'eth0', addresses: [], routes: [] }), ['link "eth0" is down'])
  })
})

test('1,000 routes, three of them in the place of another network’s: each goes behind, none is lost', () => {
  withLink((_kernel, box) => {
    const link = box.links.get('eth0')
    const first = box.links.add({ name: 'eth1', kind: { kind: 'dummy' }, up: true })
    const networks = Array.from({ length: 1000 }, (_, i) => prefix(`10.${64 + (i >> 8)}.${i & 255}.0/24`))
    for (const dst of networks.slice(0, 3)) box.routes.add({ dst, index: first.index })
    const routes = networks.map(dst => ({ dst, gateway: gateway('10.1.0.1') }))
    configureInterface(box, link, { addresses: [prefix('10.1.0.5/24')], routes })
    const listed = box.routes.list({ index: link.index })
    // And the one of the address's own prefix.
    assert.is(listed.length, 1001)
    assert.equal(
      listed.filter(route => route.metric !== undefined).map(route => route.metric),
      [1, 1, 1]
    )
    assert.equal(checkInterface(box, { name: 'eth0', addresses: [], routes }), [])
  })
})

test.run()
