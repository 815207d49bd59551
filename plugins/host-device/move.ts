/**
 * The device's way into the container and home again.
 *
 * A namespace's end sends a physical device back to the first namespace of the machine under whatever name it had in
 * the container, or `dev<index>` when that is taken there. Its alias travels with it: ADD writes the device's own name
 * there (as the reference plugin does, so that either brings the other's devices home), and the journal has the rest.
 */

import { hashedName } from '../../lib/attach/attachment.ts'
import { type Json, jsonBoolean, jsonNumber, jsonObject, jsonString, memberOf } from '../../lib/config/json.ts'
import { formatMac, parseMac } from '../../lib/ip/mac.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import { errnoOf } from '../../lib/sys/errors.ts'

/** The device as ADD found it. */
export interface Origin {
  readonly name: string
  readonly alias: string
  readonly mac: Uint8Array | undefined
  /** bytes */
  readonly mtu: number
  readonly isUp: boolean
}

export function originOf(link: Link): Origin {
  return { name: link.name, alias: link.alias ?? '', mac: link.mac, mtu: link.mtu, isUp: link.isUp }
}

export function originToJson(origin: Origin): Json {
  return jsonObject([
    ['name', jsonString(origin.name)],
    ['alias', jsonString(origin.alias)],
    ['mac', jsonString(origin.mac === undefined ? '' : formatMac(origin.mac))],
    ['mtu', jsonNumber(origin.mtu)],
    ['up', jsonBoolean(origin.isUp)]
  ])
}

/** Reads a journal entry; undefined when its details are lost, or when there was no interface to move. */
export function originFromJson(json: Json | undefined): Origin | undefined {
  if (json === undefined) return undefined
  const name = textOf(json, 'name')
  if (name === '') return undefined
  return {
    name,
    alias: textOf(json, 'alias'),
    mac: parseMac(textOf(json, 'mac')),
    mtu: Number(memberOf(json, 'mtu')?.text ?? '1500'),
    isUp: textOf(json, 'up') === 'true'
  }
}

function textOf(json: Json, key: string): string {
  return memberOf(json, key)?.text ?? ''
}

/** Moves the device into the container under its new name: one request, so that it never has a third name or place. */
export function sendToContainer(host: Net, container: Net, device: Link, ifName: string): void {
  host.links.set(device.index, { up: false, alias: device.name })
  host.links.set(device.index, { netns: container, name: ifName })
}

/**
 * Brings the device home from wherever it is: the container, or the host when the namespace died or the move never
 * happened. A device that is nowhere is no error: a virtual one dies with its namespace.
 *
 * @param ifName its name in the container
 */
export function bringHome(host: Net, container: Net | undefined, origin: Origin, ifName: string): void {
  if (container !== undefined) {
    const away = findAway(container, origin, ifName)
    if (away !== undefined) moveHome(host, container, away, origin)
  }
  const home = findAtHome(host, origin)
  if (home !== undefined) restore(host, home, origin)
}

/**
 * In the container: by its new name, or by its own when a kill came between move and renaming. A container that may
 * change its interfaces can have renamed it, or have written another alias: a physical one is then told by its MAC.
 */
function findAway(container: Net, origin: Origin, ifName: string): Link | undefined {
  for (const name of [ifName, origin.name]) {
    const link = container.links.find(name)
    if (link !== undefined && link.alias === origin.name) return link
  }
  return container.links.list().find(link => isRenamed(link, origin))
}

function isRenamed(link: Link, origin: Origin): boolean {
  const hasMac = origin.mac !== undefined && macText(link.mac) === macText(origin.mac)
  return hasMac && (link.kind === undefined || link.alias === origin.name)
}

/** On the host: under any name, told by alias and MAC. */
function findAtHome(host: Net, origin: Origin): Link | undefined {
  const byName = host.links.find(origin.name)
  if (byName !== undefined && byName.alias === origin.name) return byName
  return host.links.list().find(link => isDevice(link, origin))
}

/** Only a physical device, which has no kind, survives its namespace; a virtual one is told by its MAC. */
function isDevice(link: Link, origin: Origin): boolean {
  return link.alias === origin.name && (link.kind === undefined || macText(link.mac) === macText(origin.mac))
}

function macText(mac: Uint8Array | undefined): string {
  return mac === undefined ? '' : formatMac(mac)
}

/**
 * With its old name where that is free, which is the rule; else under one that says whose it is, for losing the device
 * with the namespace would be worse than a strange name.
 */
function moveHome(host: Net, container: Net, device: Link, origin: Origin): void {
  container.links.set(device.index, { up: false })
  try {
    container.links.set(device.index, { netns: host, name: origin.name })
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    // The kernel moves before it renames: the device may be home already, still under the container's name.
    if (findAtHome(host, origin) === undefined) {
      container.links.set(device.index, { netns: host, name: strayName(origin) })
    }
  }
}

function strayName(origin: Origin): string {
  return hashedName('dev', `${origin.name} ${macText(origin.mac)}`)
}

/** The alias last: it is what the next DEL knows the device by, if this one is stopped on its way. */
function restore(host: Net, device: Link, origin: Origin): void {
  const renamed = device.name === origin.name || rename(host, device, origin)
  const mtu = device.mtu === origin.mtu ? undefined : origin.mtu
  const mac = macText(device.mac) === macText(origin.mac) ? undefined : origin.mac
  if (mtu !== undefined || mac !== undefined) host.links.set(device.index, { mtu, mac })
  if (origin.isUp) host.links.set(device.index, { up: true })
  // Somebody looking for the device finds its name there as long as it does not have it.
  if (renamed) host.links.set(device.index, { alias: origin.alias })
}

/** @returns false when another interface has got the name meanwhile */
function rename(host: Net, device: Link, origin: Origin): boolean {
  host.links.set(device.index, { up: false })
  try {
    host.links.set(device.index, { name: origin.name })
    return true
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    process.stderr.write(
      `host-device: ${JSON.stringify(origin.name)} is home as ${JSON.stringify(device.name)}: its name is taken\n`
    )
    return false
  }
}
