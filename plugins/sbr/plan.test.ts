import type { IpConfig } from '../../lib/cni/result.ts'
import { type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import { type IpPrefix, parsePrefix } from '../../lib/ip/prefix.ts'
import { describeRoute } from '../../lib/net/route-match.ts'
import type { Route } from '../../lib/net/routes.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { freeTables, hintRoutes, movedRoutes, tableRoutes } from './plan.ts'

const test = suite('plugins/sbr/plan')

const NONE = { table: undefined, gateways: [], addSourceHints: false }

function address(text: string): IpAddress {
  const parsed = parseAddress(text)
  if (parsed === undefined) throw new Error(text)
  return parsed
}

function prefix(text: string): IpPrefix {
  const parsed = parsePrefix(text)
  if (parsed === undefined) throw new Error(text)
  return parsed
}

function ip(text: string, gateway?: string): IpConfig {
  return { address: prefix(text), gateway: gateway === undefined ? undefined : address(gateway) }
}

function to(dst: string, more: { via?: string; from?: string } = {}): Route {
  const family = dst.includes(':') ? 6 : 4
  return {
    family,
    dst: dst.endsWith('/0') ? undefined : prefix(dst),
    index: 5,
    gateway: more.via === undefined ? undefined : address(more.via),
    source: more.from === undefined ? undefined : address(more.from)
  }
}

test('tables: from 100 on, one for each address, none that a rule or a route uses, none of the kernel', () => {
  const ips = [ip('10.0.0.1/24'), ip('10.0.0.2/24'), ip('fd00::1/64')]
  const tables = (rules: readonly number[], routes: readonly number[]): readonly number[] =>
    freeTables(
      ips,
      rules.map(table => ({ family: 4, table })),
      routes.map(table => ({ ...to('10.9.0.0/24'), table }))
    ).map(one => one.table)
  assert.equal(tables([254, 253, 255], [254, 255]), [100, 101, 102])
  assert.equal(tables([101], [100, 103]), [102, 104, 105])
  const many = Array.from({ length: 152 }, (_, i) => 100 + i)
  assert.equal(tables(many, []), [252, 256, 257])
})

test('table: the routes of the address, its default route, neighbours before gateways', () => {
  const ips = [ip('10.0.0.5/24', '10.0.0.1'), ip('10.1.0.5/24'), ip('fd00::5/64', 'fe80::1')]
  const main = [
    to('10.9.0.0/16', { via: '10.0.0.7' }),
    to('0.0.0.0/0', { via: '10.0.0.254' }),
    to('10.0.0.0/24', { from: '10.0.0.5' }),
    to('10.1.0.0/24', { from: '10.1.0.5' }),
    to('172.16.0.0/12'),
    to('172.32.0.0/16', { via: '169.254.1.1' }),
    to('fd00::/64'),
    to('fe80::/64')
  ]
  const texts = ips.map((one, i) =>
    tableRoutes({ ip: one, table: 100 + i }, { index: 5, main, ips }, NONE).map(route => describeRoute(route))
  )
  assert.equal(
    texts.map(list => list.map(text => text.replace(/ \(IPv.\)| (dev|link|table) .*/g, ''))),
    [
      // What nobody claims is everybody's of the family: 172.16.0.0/12, and 172.32.0.0/16 by a gateway of no network.
      [
        '10.0.0.0/24',
        '172.16.0.0/12',
        '10.9.0.0/16 via 10.0.0.7',
        '172.32.0.0/16 via 169.254.1.1',
        'default via 10.0.0.1'
      ],
      ['10.1.0.0/24', '172.16.0.0/12', '172.32.0.0/16 via 169.254.1.1'],
      ['fd00::/64', 'fe80::/64', 'default via fe80::1']
    ]
  )
})

test("table: the configuration's gateway goes before the result's; one outside the network is on the link all the same", () => {
  const one = ip('10.0.0.5/32', '10.0.0.1')
  const config = { ...NONE, gateways: [address('169.254.1.1'), address('fe80::9')] }
  const routes = tableRoutes({ ip: one, table: 100 }, { index: 5, main: [], ips: [one] }, config)
  assert.equal(routes.length, 1)
  assert.equal(routes[0]?.gateway, address('169.254.1.1'))
  assert.is(routes[0]?.onlink, true)
})

test('table: a gateway in the network is a neighbour where a route leads to it, and on the link where none does', () => {
  const one = ip('10.0.0.5/24', '10.0.0.1')
  const onlink = (main: readonly Route[]): readonly (boolean | undefined)[] =>
    tableRoutes({ ip: one, table: 100 }, { index: 5, main, ips: [one] }, NONE)
      .filter(route => route.dst === undefined)
      .map(route => route.onlink)
  assert.equal(onlink([to('10.0.0.0/24')]), [false])
  assert.equal(onlink([to('10.0.0.1/32')]), [false])
  assert.equal(onlink([to('10.1.0.0/24')]), [true])
  assert.equal(onlink([]), [true])
})

test('moved: all but the link-local prefix, gateways first; with source hints only what has a gateway', () => {
  const main = [to('10.0.0.0/24'), to('0.0.0.0/0', { via: '10.0.0.1' }), to('fe80::/64'), to('fd00::/64')]
  const names = (addSourceHints: boolean): readonly (number | undefined)[] =>
    movedRoutes(main, { ...NONE, addSourceHints }).map(route => main.indexOf(route))
  assert.equal(names(false), [1, 0, 3])
  assert.equal(names(true), [1])
})

test('hints: the route that is there with the source, or one of its own', () => {
  const main = [{ ...to('10.0.0.0/24'), metric: 7 }]
  const routes = hintRoutes([ip('10.0.0.5/24'), ip('10.1.0.5/24')], main, 5)
  assert.equal(routes[0], { ...main[0], source: address('10.0.0.5') })
  assert.equal(routes[1]?.dst, prefix('10.1.0.0/24'))
  assert.equal(routes[1]?.source, address('10.1.0.5'))
})

test.run()
