import { assert, suite } from '../../lib/testing/suite.ts'
import { isSameValue, sysctlPath } from './sysctl.ts'

const test = suite('plugins/tuning/sysctl')

test('path: dots and slashes separate, and the names of interfaces keep their dots', () => {
  const paths: readonly [string, string, string][] = [
    ['net.core.somaxconn', 'eth0', 'core/somaxconn'],
    ['net/core/somaxconn', 'eth0', 'core/somaxconn'],
    ['net.ipv4.conf.IFNAME.arp_filter', 'eth0', 'ipv4/conf/eth0/arp_filter'],
    ['net.ipv4.conf.IFNAME.arp_filter', 'eth0.5', 'ipv4/conf/eth0.5/arp_filter'],
    ['net/ipv4/conf/IFNAME/arp_filter', 'a.b.c', 'ipv4/conf/a.b.c/arp_filter'],
    ['net.ipv4.conf.eth0.5.arp_filter', 'eth0', 'ipv4/conf/eth0.5/arp_filter'],
    ['net/ipv4/conf/eth0.5/arp_filter', 'eth0', 'ipv4/conf/eth0.5/arp_filter'],
    ['net.ipv4.conf.eth0/5.arp_filter', 'eth0', 'ipv4/conf/eth0.5/arp_filter'],
    ['net.ipv6.neigh.IFNAME.retrans_time_ms', 'x.1', 'ipv6/neigh/x.1/retrans_time_ms'],
    ['net.ipv6.conf.IFNAME.100.accept_ra', 'eth0', 'ipv6/conf/eth0.100/accept_ra'],
    ['net.ipv4.tcp_rmem', 'eth0', 'ipv4/tcp_rmem'],
    ['net.netfilter.nf_conntrack_max', 'eth0', 'netfilter/nf_conntrack_max'],
    ['net.ipv4.conf.IFNAME.arp_filter', '$&', 'ipv4/conf/$&/arp_filter']
  ]
  for (const [key, ifName, path] of paths) assert.is(sysctlPath(key, ifName), path, `${key} for ${ifName}`)
})

test('path: what is none of the network, or would lead elsewhere, has none', () => {
  const keys = [
    'kernel.panic',
    'net',
    'net.core',
    '',
    'net..core.somaxconn',
    'net/../kernel/panic',
    'net/core/../../kernel/panic',
    'net/ipv4/conf/../../../kernel/panic',
    '/net/core/somaxconn',
    '/proc/sys/net/core/somaxconn',
    'net/core/./somaxconn',
    'net.core.somaxconn.',
    'net.core.some maxconn',
    'net.core.somax\u0000conn',
    'network.core.somaxconn',
    'NET.core.somaxconn'
  ]
  for (const key of keys) assert.is(sysctlPath(key, 'eth0'), undefined, JSON.stringify(key))
})

test('values are the same whatever space is between their numbers', () => {
  assert.ok(isSameValue('4096\t131072\t6291456', '4096 131072 6291456'))
  assert.ok(isSameValue('1\n', '1'))
  assert.not.ok(isSameValue('4096 131072', '4096131072'))
  assert.not.ok(isSameValue('1', '0'))
})

test.run()
