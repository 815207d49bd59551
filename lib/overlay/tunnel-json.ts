/** A tunnel as text: in the journal, for DEL and GC; to the agent, which makes it again when it is taken away. */
import { type Json, jsonBoolean, jsonNumber, jsonObject, jsonString, memberOf } from '../config/json.ts'
import { formatAddress, parseAddress } from '../ip/address.ts'
import type { Tunnel } from './tunnel.ts'

export function tunnelToJson(tunnel: Tunnel): Json {
  return jsonObject([
    ['name', jsonString(tunnel.name)],
    ['bridge', jsonString(tunnel.bridge)],
    ['network', jsonString(tunnel.network)],
    ['vni', jsonNumber(tunnel.vni)],
    ['port', jsonNumber(tunnel.port)],
    ['local', jsonString(formatAddress(tunnel.local))],
    ['dev', jsonString(tunnel.dev)],
    ['group', tunnel.group === undefined ? undefined : jsonString(formatAddress(tunnel.group))],
    ['learning', jsonBoolean(tunnel.learning)],
    ['carrier', tunnel.carrier === '' ? undefined : jsonString(tunnel.carrier)],
    ['mtu', jsonNumber(tunnel.mtu)],
    ['isGateway', jsonBoolean(tunnel.isGateway)],
    ['txChecksumOffload', jsonBoolean(tunnel.txChecksumOffload)],
    ['underlay', jsonString(tunnel.follows.link)],
    ['followsAddress', jsonBoolean(tunnel.follows.address)],
    ['followsMtu', jsonBoolean(tunnel.follows.mtu)]
  ])
}

/** @returns undefined when the text is not one of ours */
export function tunnelFromJson(json: Json): Tunnel | undefined {
  const local = parseAddress(textOf(json, 'local'))
  const name = textOf(json, 'name')
  const bridge = textOf(json, 'bridge')
  const vni = Number(textOf(json, 'vni'))
  if (local === undefined || name === '' || bridge === '' || !(vni >= 1 && vni < 16_777_216)) return undefined
  return {
    name,
    bridge,
    network: textOf(json, 'network'),
    vni,
    port: Number(textOf(json, 'port')),
    local,
    dev: textOf(json, 'dev'),
    group: parseAddress(textOf(json, 'group')),
    learning: textOf(json, 'learning') === 'true',
    carrier: textOf(json, 'carrier'),
    mtu: Number(textOf(json, 'mtu')),
    isGateway: textOf(json, 'isGateway') === 'true',
    txChecksumOffload: textOf(json, 'txChecksumOffload') === 'true',
    follows: {
      link: textOf(json, 'underlay'),
      address: textOf(json, 'followsAddress') === 'true',
      mtu: textOf(json, 'followsMtu') === 'true'
    }
  }
}

/** A member's text, '' when it is absent. */
export function textOf(json: Json, key: string): string {
  return memberOf(json, key)?.text ?? ''
}
