// needs: ip tc
import { ip, must } from '../testing/ip-json.ts'
import { withNamespaces } from '../testing/namespace.ts'
import { assert, suite, throwsLike } from '../testing/suite.ts'
import { LinuxKernel } from './kernel-net.ts'
import type { Net } from './net.ts'
import type { Qdisc } from './qdiscs.ts'

const test = suite('lib/net/kernel-qdiscs on the kernel')

function withLink(body: (net: Net, index: number, tc: (line: string) => string) => void): void {
  withNamespaces(1, box => {
    ip(box, 'link add v0 type veth peer name v1')
    ip(box, 'link set v0 up')
    ip(box, 'link add ifb0 type ifb')
    const net = new LinuxKernel().open(box.path)
    try {
      body(net, net.links.get('v0').index, line => must(box, 'tc', ...line.split(' ')))
    } finally {
      net.close()
    }
  })
}

/** But for the one that every veth has while it is up. */
function qdiscsOf(net: Net, index: number): readonly Qdisc[] {
  return net.qdiscs.list(index).filter(one => one.kind !== 'noqueue')
}

const TBF = { rate: 1_000_000, burst: 100_000, limit: 125_000 }

test('a link without qdiscs, before there were any and after they are gone', () => {
  withLink((net, index, tc) => {
    assert.equal(qdiscsOf(net, index), [])
    assert.not.ok(net.qdiscs.remove(index, 'tbf'))
    assert.not.ok(net.qdiscs.remove(index, 'ingress'))
    // The kernel keeps places for them from then on, empty.
    net.qdiscs.replace(index, { kind: 'tbf', tbf: TBF })
    net.qdiscs.replace(index, { kind: 'ingress' })
    assert.ok(net.qdiscs.remove(index, 'tbf'))
    assert.ok(net.qdiscs.remove(index, 'ingress'))
    assert.equal(qdiscsOf(net, index), [])
    assert.not.ok(net.qdiscs.remove(index, 'ingress'))
    assert.match(tc('qdisc show dev v0'), /^qdisc noqueue [^\n]*\n$/)
  })
})

test('what tc sets is listed, and what is set tc lists', () => {
  withLink((net, index, tc) => {
    tc('qdisc add dev v0 root tbf rate 8mbit burst 100000 latency 25ms')
    tc('qdisc add dev v0 clsact')
    assert.equal(
      qdiscsOf(net, index).map(one => [one.kind, one.tbf]),
      [
        ['tbf', TBF],
        ['clsact', undefined]
      ]
    )
    assert.not.ok(net.qdiscs.remove(index, 'ingress'), 'clsact has the place of ingress, and is not it')
    assert.ok(net.qdiscs.remove(index, 'clsact'))
    net.qdiscs.replace(index, { kind: 'tbf', tbf: { ...TBF, rate: 2_000_000 } })
    assert.match(tc('qdisc show dev v0 root'), /tbf .* rate 16Mbit/)
    tc('qdisc replace dev v0 root handle 2: pfifo limit 5')
    assert.not.ok(net.qdiscs.remove(index, 'tbf'))
  })
})

test('filters: none, one, removed', () => {
  withLink((net, index, tc) => {
    assert.equal(net.filters.list(index, 'ingress'), [])
    net.qdiscs.replace(index, { kind: 'ingress' })
    assert.equal(net.filters.list(index, 'ingress'), [])
    const redirectIndex = net.links.get('ifb0').index
    net.filters.add(index, { hook: 'ingress', priority: 7, redirectIndex })
    assert.equal(net.filters.list(index, 'ingress'), [{ kind: 'u32', priority: 7, protocol: 3, redirectIndex }])
    assert.match(tc('filter show dev v0 ingress'), /protocol all pref 7 u32(.|\n)*Redirect to device ifb0/)
    tc('filter del dev v0 ingress')
    assert.equal(net.filters.list(index, 'ingress'), [])
    tc('filter add dev v0 ingress protocol ip pref 9 u32 match u32 0 0 action mirred egress mirror dev ifb0')
    assert.equal(net.filters.list(index, 'ingress'), [
      { kind: 'u32', priority: 9, protocol: 0x0800, redirectIndex: undefined }
    ])
  })
})

test('a link that is gone', () => {
  withLink(net => {
    throwsLike(() => net.qdiscs.replace(4711, { kind: 'ingress' }), { errno: 'ENODEV' })
    assert.not.ok(net.qdiscs.remove(4711, 'tbf'))
    assert.equal(net.qdiscs.list(4711), [])
  })
})

test.run()
