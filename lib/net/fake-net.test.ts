import { parseAddress } from '../ip/address.ts'
import { parseMac } from '../ip/mac.ts'
import { parsePrefix } from '../ip/prefix.ts'
import { assert, suite, throwsLike } from '../testing/suite.ts'
import { FakeKernel } from './fake-net.ts'
import { NftBatch } from './nft.ts'

const test = suite('lib/net: fake')

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
  const bridge = host.addLink({
    name: 'cni0',
    kind: { kind: 'bridge' },
    mac: present(parseMac('02:00:00:00:00:aa')),
    up: true
  })
  const peer = { name: 'eth0', netns: container, mac: present(parseMac('02:00:00:00:00:bb')), mtu: 1400, up: true }
  host.addLink({ name: 'veth1', kind: { kind: 'veth', peer }, masterIndex: bridge.index, up: true })
  const eth0 = container.getLink('eth0')
  container.ensureAddresses(eth0.index, [{ prefix: prefix('10.1.0.2/24') }])
  container.ensureRoutes([{ dst: undefined, gateway: address('10.1.0.1'), index: eth0.index }])
  container.writeSysctl('ipv4/conf/eth0/arp_notify', '1')
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
    if (step > 6) {
      attach(kernel)
      assert.is(kernel.steps(), 6)
      return
    }
    throwsLike(() => attach(kernel), { name: 'KernelError', errno: 'ENOMEM' })
    assert.is(kernel.steps(), step)
  }
})

test('a link takes its peer, its routes and its sysctls with it', () => {
  const kernel = new FakeKernel()
  kernel.addNamespace('/blue')
  const before = kernel.toText()
  attach(kernel)
  const host = kernel.host()
  assert.is(host.removeLink('veth1'), true)
  assert.is(host.removeLink('veth1'), false)
  assert.is(host.removeLink('cni0'), true)
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
  assert.is(kernel.host().findLink('veth1'), undefined)
  assert.is(kernel.find('/blue'), undefined)
  throwsLike(() => kernel.open('/blue'), { name: 'NetnsError' })
})

test('routes need their gateway and come and go with the link', () => {
  const net = new FakeKernel().host()
  const link = net.addLink({ name: 'd0', kind: { kind: 'dummy' } })
  net.addAddress(link.index, { prefix: prefix('10.0.0.1/24') })
  const route = { dst: prefix('10.9.0.0/16'), gateway: address('10.0.0.9') }
  throwsLike(() => net.addRoute(route), { errno: 'ENETUNREACH' })
  throwsLike(() => net.addRoute({ dst: route.dst, index: link.index }), { errno: 'ENETDOWN' })
  net.setLink(link.index, { up: true })
  net.addRoute(route)
  throwsLike(() => net.addRoute(route), { errno: 'EEXIST' })
  net.ensureRoute(route)
  throwsLike(() => net.ensureRoute({ ...route, gateway: address('10.0.0.8') }), {
    errno: 'EEXIST',
    message: /10\.0\.0\.9/
  })
  assert.is(net.listRoutes({}).length, 2)
  net.setLink(link.index, { up: false })
  assert.is(net.listRoutes({}).length, 0)
})

test('sysctls exist for links that exist, and none outside', () => {
  const net = new FakeKernel().host()
  assert.is(net.readSysctl('ipv4/conf/eth0/forwarding'), undefined)
  assert.is(net.readSysctl('ipv4/conf/lo/forwarding'), '0')
  throwsLike(() => net.writeSysctl('ipv4/conf/eth0/forwarding', '1'), { errno: 'ENOENT' })
  throwsLike(() => net.readSysctl('../kernel/hostname'), { errno: 'EINVAL' })
})

test.run()
