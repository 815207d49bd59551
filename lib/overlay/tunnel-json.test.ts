import { jsonText, parseJson } from '../config/json.ts'
import { parseAddress } from '../ip/address.ts'
import { assert, suite } from '../testing/suite.ts'
import type { Tunnel } from './tunnel.ts'
import { tunnelFromJson, tunnelToJson } from './tunnel-json.ts'

const test = suite('lib/overlay/tunnel-json')

function tunnel(local: string, carrier: string): Tunnel {
  const address = parseAddress(local)
  if (address === undefined) throw new Error(local)
  return {
    name: 'vx42',
    bridge: 'br-vx42',
    network: 'blue',
    vni: 42,
    port: 4789,
    local: address,
    dev: 'eth0',
    group: parseAddress('239.1.1.1'),
    learning: true,
    carrier,
    mtu: 1370,
    isGateway: true,
    txChecksumOffload: false,
    follows: { link: 'eth0', address: true, mtu: false }
  }
}

function writtenOf(one: Tunnel): Record<string, unknown> {
  return JSON.parse(jsonText(tunnelToJson(one)))
}

test('a tunnel is read as it was written', () => {
  for (const one of [tunnel('192.0.2.1', ''), tunnel('fd7c::1', '/run/carrier')]) {
    assert.equal(tunnelFromJson(parseJson(JSON.stringify(writtenOf(one)))), one)
  }
})

test('an encrypted one is none to who knows no encryption, and would have it in clear', () => {
  const { local, vni } = writtenOf(tunnel('192.0.2.1', ''))
  assert.equal([local, vni], ['192.0.2.1', 42])
  // Such a reader needs "local", and passes over what it does not know.
  const { carrier, localInCarrier, ...known } = writtenOf(tunnel('fd7c::1', '/run/carrier'))
  assert.equal([carrier, localInCarrier, known['local']], ['/run/carrier', 'fd7c::1', undefined])
  assert.is(tunnelFromJson(parseJson(JSON.stringify(known))), undefined)
})

test.run()
