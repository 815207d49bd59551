/** A tunnel as text: in the journal, for DEL and GC; to the agent, which makes it again when it is taken away. */
import { type Json, jsonBoolean, jsonNumber, jsonObject, jsonString, memberOf } from '../config/json.ts'
import { formatAddress, parseAddress } from '../ip/address.ts'
import type { Tunnel } from './tunnel.ts'

/**
 * Where the address of an encrypted tunnel stands.
 *
 * Sequence prevented: an agent that knows no encryption is set up again in the place of one that does. It reads which tunnels there are,
 * passes over "carrier", finds that "local" is none of the host's addresses any more, and makes the tunnel anew from one that is: in
 * clear. Without "local" it is no tunnel to it, and is left as it is.
 */
const LOCAL_IN_CARRIER = 'localInCarrier'

export function tunnelToJson(tunnel: Tunnel): Json {
  const isEncrypted = tunnel.carrier !== ''
  return jsonObject([
    ['name', jsonString(tunnel.name)],
    ['bridge', jsonString(tunnel.bridge)],
    ['network', jsonString(tunnel.network)],
    ['vni', jsonNumber(tunnel.vni)],
    ['port', jsonNumber(tunnel.port)],
    [isEncrypted ? LOCAL_IN_CARRIER : 'local', jsonString(formatAddress(tunnel.local))],
    ['dev', jsonString(tunnel.dev)],
    ['group', tunnel.group === undefined ? undefined : jsonString(formatAddress(tunnel.group))],
    ['learning', jsonBoolean(tunnel.learning)],
    ['carrier', isEncrypted ? jsonString(tunnel.carrier) : undefined],
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
  const carrier = textOf(json, 'carrier')
  const local = parseAddress(textOf(json, carrier === '' ? 'local' : LOCAL_IN_CARRIER))
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
    carrier,
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
