import { parseAddress } from '../../ip/address.ts'
import { parseMac } from '../../ip/mac.ts'
import { parsePrefix } from '../../ip/prefix.ts'
import { NftBatch } from '../../nft/nft.ts'
import { assert, suite, throwsLike } from '../suite.ts'
import { FakeKernel } from './fake-kernel.ts'

const test = suite('lib/testing/fake-kernel')

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a value of the test does not parse')
  return value
}
const prefix = (text: string) => present(parsePrefix(text))
const address = (text: string) => present(parseAddress(text))

/** A small ADD: bridge, pair, address, route, sysctl, rule of the packet filter; five changes and a batch. */
function attach(kernel: FakeKernel): void {
  const host = kernel.host()
  const container = kernel.open('/blue')
  const bridge = host.links.add({
    name: 'cni0',
    kind: { kind: 'bridge' },
    mac: present(parseMac('02:00:00:00:00:aa')),
    up: true
  })
  const peer = { name: 'eth0', netns: container, mac: present(parseMac('02:00:00:00:00:bb')), mtu: 1400 }
  host.links.add({ name: 'veth1', kind: { kind: 'veth', peer }, masterIndex: bridge.index, up: true })
  const eth0 = container.links.get('eth0')
  container.links.set(eth0.index, { up: true })
  container.addresses.ensure(eth0.index, [{ prefix: prefix('10.1.0.2/24') }])
  container.routes.ensure([{ dst: undefined, gateway: address('10.1.0.1'), index: eth0.index }])
  container.sysctls.write('ipv4/conf/eth0/arp_notify', '1')
  const batch = new NftBatch()
  batch.addTable('ip', 'patchbay', false)
  batch.addChain('ip', 'patchbay', 'sources', undefined, false)
  host.nft().commit(batch, undefined)
}

test('prints its state', () => {
  const kernel = new FakeKernel()
  kernel.addNamespace('/blue')
  attach(kernel)
  assert.is(
    kernel.toText(),
    [
      'host:',
      '  lo device down mtu 65536 mac 00:00:00:00:00:00',
      '  cni0 bridge up mtu 1500 mac 02:00:00:00:00:aa novlanFiltering vlanDefaultPvid 1',
      '  veth1 veth up mtu 1500 mac 02:00:00:00:00:04 master cni0 peer eth0@/blue learning flood',
      '  table ip patchbay',
      '    chain sources',
      '/blue:',
      '  lo device down mtu 65536 mac 00:00:00:00:00:00',
      '  eth0 veth up mtu 1400 mac 02:00:00:00:00:bb peer veth1@host',
      '    address 10.1.0.2/24',
      '  route 10.1.0.0/24 dev eth0 src 10.1.0.2',
      '  route default IPv4 via 10.1.0.1 dev eth0',
      '  sysctl ipv4/conf/eth0/arp_notify = 1'
    ].join('\n')
  )
})

test('refuses the step it is told to, and only that one', () => {
  for (let step = 1; ; step += 1) {
    const kernel = new FakeKernel()
    kernel.addNamespace('/blue')
    kernel.failAt(step, 'ENOMEM')
    if (step > 7) {
      attach(kernel)
      assert.is(kernel.changes().length, 7)
      return
    }
    throwsLike(() => attach(kernel), { name: 'KernelError', errno: 'ENOMEM' })
    assert.is(kernel.changes().length, step)
  }
})

test('a link takes its peer, its routes and its sysctls with it', () => {
  const kernel = new FakeKernel()
  kernel.addNamespace('/blue')
  const before = kernel.toText()
  attach(kernel)
  const host = kernel.host()
  assert.is(host.links.remove('veth1'), true)
  assert.is(host.links.remove('veth1'), false)
  assert.is(host.links.remove('cni0'), true)
  const batch = new NftBatch()
  batch.removeTable('ip', 'patchbay')
  host.nft().commit(batch, undefined)
  assert.is(kernel.toText(), before)
})

test('a namespace takes the other ends with it', () => {
  const kernel = new FakeKernel()
  kernel.addNamespace('/blue')
  attach(kernel)
  kernel.removeNamespace('/blue')
  assert.is(kernel.host().links.find('veth1'), undefined)
  assert.is(kernel.find('/blue'), undefined)
  throwsLike(() => kernel.open('/blue'), { name: 'NetnsError' })
})

test('routes need their gateway and come and go with the link', () => {
  const net = new FakeKernel().host()
  const link = net.links.add({ name: 'd0', kind: { kind: 'dummy' } })
  net.addresses.add(link.index, { prefix: prefix('10.0.0.1/24') })
  const route = { dst: prefix('10.9.0.0/16'), gateway: address('10.0.0.9') }
  throwsLike(() => net.routes.add(route), { errno: 'ENETUNREACH' })
  throwsLike(() => net.routes.add({ dst: route.dst, index: link.index }), { errno: 'ENETDOWN' })
  net.links.set(link.index, { up: true })
  net.routes.add(route)
  throwsLike(() => net.routes.add(route), { errno: 'EEXIST' })
  net.routes.ensure([route])
  throwsLike(() => net.routes.ensure([{ ...route, gateway: address('10.0.0.8') }]), {
    errno: 'EEXIST',
    message: /10\.0\.0\.9/
  })
  assert.is(net.routes.list({}).length, 2)
  net.links.set(link.index, { up: false })
  assert.is(net.routes.list({}).length, 0)
})

test('sysctls exist for links that exist, and none outside', () => {
  const net = new FakeKernel().host()
  assert.is(net.sysctls.read('ipv4/conf/eth0/forwarding'), undefined)
  assert.is(net.sysctls.read('ipv4/conf/lo/forwarding'), '0')
  throwsLike(() => net.sysctls.write('ipv4/conf/eth0/forwarding', '1'), { errno: 'ENOENT' })
  throwsLike(() => net.sysctls.read('../kernel/hostname'), { errno: 'EINVAL' })
})

test.run()
