import { assert, suite } from '../../lib/testing/suite.ts'
import { holdsValue, isValue, sysctlPath } from './sysctl.ts'

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

test('values are the same whatever space is between their numbers; of a list the first are compared', () => {
  assert.ok(holdsValue('4096\t131072\t6291456', '4096 131072 6291456'))
  assert.ok(holdsValue('4096\t131072\t6291456', '4096 131072'))
  assert.ok(holdsValue('1\n', '1'))
  assert.not.ok(holdsValue('4096\t131072\t6291456', '4096 6291456'))
  assert.not.ok(holdsValue('4096\t131072', '4096 131072 6291456'))
  assert.not.ok(holdsValue('4096 131072', '4096131072'))
  assert.not.ok(holdsValue('10', '1'))
})

test('what is no value: nothing, several lines, what no text has', () => {
  for (const text of ['1', ' 1\n', '4096\t8192', 'cubic', '-1']) assert.ok(isValue(text), JSON.stringify(text))
  for (const text of ['', ' \n', '1\n2', '1\0', '\x1b[1m']) assert.not.ok(isValue(text), JSON.stringify(text))
})

test.run()
