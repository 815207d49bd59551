/**
 * `keepDevices: false`: the bridge goes with its last container, and the gateway interface of a VLAN with the VLAN's last.
 *
 *     ADD of c2   writes "c2, bridge cni0" down ---- finds cni0 ---- makes a port
 *     DEL of c1                  `--- sees c2: cni0 stays
 *
 * Writing down and looking take turns under a lock, whatever the network.
 */
import { everyEntry } from '../../lib/attach/every-entry.ts'
import type { Session } from '../../lib/attach/session.ts'
import { isSameAttachment } from '../../lib/attachment.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import { type Json, memberOf } from '../../lib/config/json.ts'
import { formatMac } from '../../lib/ip/mac.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import { withNamedLock } from '../../lib/state/lock.ts'
import { bridgeMac, gatewayPortName } from './devices.ts'

/** Runs `work` while no other call takes this bridge away. */
export function whileBridgeStays<T>(request: Request, bridge: string, work: () => T): T {
  return withNamedLock(request.config.text('stateDir'), `bridge-${bridge}`, work)
}

/** Removes the entry, and the devices first that nobody else needs: while it is there, the next DEL or GC goes on. */
export function removeEntry(session: Session, entry: Json): void {
  const { request, journal } = session
  const name = textOf(entry, 'bridge')
  if (textOf(entry, 'keepDevices') !== 'false' || name === '') {
    journal.remove(request)
    return
  }
  whileBridgeStays(request, name, () => {
    removeUnused(session, name, textOf(entry, 'vlan'))
    journal.remove(request)
    return true
  })
}

function removeUnused(session: Session, name: string, vlan: string): void {
  const { request, host } = session
  const bridge = host.links.find(name)
  // Ours has the address that it got from us at birth; one that was there before is its maker's.
  if (bridge === undefined || bridge.kind !== 'bridge' || !hasMac(bridge, bridgeMac(name))) return
  const all = host.links.list()
  const others = everyEntry(request.config.text('stateDir'), 'bridge').filter(
    one => !isSameAttachment(one.attachment, request) && textOf(one.entry, 'bridge') === name
  )
  const gateways = all.filter(link => isGatewayPort(link, bridge, all))
  const ports = all.filter(link => link.masterIndex === bridge.index && !gateways.some(one => one.index === link.index))
  if (others.length === 0 && ports.length === 0 && !isBelow(bridge, all)) {
    for (const port of gateways) host.links.removeByIndex(port.index)
    host.links.removeByIndex(bridge.index)
    return
  }
  if (vlan === '' || others.some(one => textOf(one.entry, 'vlan') === vlan)) return
  const own = gateways.find(port => port.name === gatewayPortName(`${name}.${vlan}`))
  if (own !== undefined && !ports.some(port => isInVlan(host, port, Number(vlan)))) host.links.removeByIndex(own.index)
}

/** The bridge's end of a pair that we made for a VLAN's gateway: its name says so, and the other end's. */
function isGatewayPort(link: Link, bridge: Link, all: readonly Link[]): boolean {
  if (link.masterIndex !== bridge.index || link.kind !== 'veth' || link.linkNetnsId !== undefined) return false
  const peer = all.find(one => one.index === link.parentIndex)
  return peer?.name.startsWith(`${bridge.name}.`) === true && link.name === gatewayPortName(peer.name)
}

/** Whether an administrator has put something on it, or it into something. */
function isBelow(bridge: Link, all: readonly Link[]): boolean {
  if (bridge.masterIndex !== undefined) return true
  return all.some(link => link.parentIndex === bridge.index && link.linkNetnsId === undefined)
}

function isInVlan(host: Net, port: Link, vid: number): boolean {
  return host.vlans.list(port.index).some(vlan => vlan.vid <= vid && vid <= (vlan.lastVid ?? vlan.vid))
}

function hasMac(link: Link, mac: Uint8Array): boolean {
  return link.mac !== undefined && formatMac(link.mac) === formatMac(mac)
}

function textOf(entry: Json, key: string): string {
  return memberOf(entry, key)?.text ?? ''
}
