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
import { isLoopback } from './device.ts'

/** The device as ADD found it. */
export interface Origin {
  readonly name: string
  readonly alias: string
  /** As `ip -d link` shows it; '' of a physical one. */
  readonly kind: string
  /** What it was built with; undefined of a virtual one. */
  readonly permanentMac: Uint8Array | undefined
  readonly mac: Uint8Array | undefined
  /** bytes */
  readonly mtu: number
  readonly isUp: boolean
  /** `placeOf` it once it is in the container; '' before. */
  readonly place: string
}

export function originOf(link: Link): Origin {
  const { name, permanentMac, mac, mtu, isUp } = link
  return { name, alias: link.alias ?? '', kind: link.kind ?? '', permanentMac, mac, mtu, isUp, place: '' }
}

/**
 * What a virtual device is known by in a container: its number there, and what is below it or its other end. A container can
 * give an interface of its own any name, alias, MAC and free number, but nothing of the host's to stand on.
 */
export function placeOf(link: Link): string {
  return `${String(link.index)} ${String(link.linkNetnsId ?? -1)} ${String(link.parentIndex ?? -1)}`
}

export function originToJson(origin: Origin): Json {
  return jsonObject([
    ['name', jsonString(origin.name)],
    ['alias', jsonString(origin.alias)],
    ['kind', jsonString(origin.kind)],
    ['permanentMac', jsonString(macText(origin.permanentMac))],
    ['mac', jsonString(macText(origin.mac))],
    ['mtu', jsonNumber(origin.mtu)],
    ['up', jsonBoolean(origin.isUp)]
  ])
}

/** The member that is written down once the device is in the container. */
export const PLACE = 'place'

/** Reads a journal entry; undefined when its details are lost, or when there was no interface to move. */
export function originFromJson(json: Json | undefined): Origin | undefined {
  if (json === undefined) return undefined
  const name = textOf(json, 'name')
  if (name === '') return undefined
  return {
    name,
    alias: textOf(json, 'alias'),
    kind: textOf(json, 'kind'),
    permanentMac: parseMac(textOf(json, 'permanentMac')),
    mac: parseMac(textOf(json, 'mac')),
    mtu: Number(memberOf(json, 'mtu')?.text ?? '1500'),
    isUp: textOf(json, 'up') === 'true',
    place: textOf(json, PLACE)
  }
}

function textOf(json: Json, key: string): string {
  return memberOf(json, key)?.text ?? ''
}

/**
 * Moves the device into the container under its new name: one request, so that it never has a third name or place. The kernel sets
 * it down when it moves and not before: what it refuses to move (lo, a bridge) goes on as it was, with its IPv6 addresses.
 */
export function sendToContainer(
  host: Net,
  container: Net,
  device: { readonly index: number; readonly name: string },
  ifName: string
): void {
  host.links.set(device.index, { alias: device.name })
  host.links.set(device.index, { netns: container, name: ifName })
}

/**
 * Brings the device home from wherever it is: the container, or the host when the namespace died or the move never
 * happened. A device that is nowhere is no error: a virtual one dies with its namespace.
 */
export function bringHome(host: Net, container: Net | undefined, origin: Origin): void {
  if (container !== undefined) {
    const away = container.links.list().find(link => isAway(link, origin))
    if (away !== undefined) moveHome(host, container, away, origin)
  }
  const home = findAtHome(host, origin)
  if (home !== undefined) restore(host, home, origin)
}

/** In the container, whose names and aliases say nothing once it runs. */
function isAway(link: Link, origin: Origin): boolean {
  if ((link.kind ?? '') !== origin.kind) return false
  if (origin.kind === '') return isPhysical(link, origin)
  // A kill came between the move and what is written down after it: the container does not run yet.
  if (origin.place === '') return link.alias === origin.name && isSameMac(link.mac, origin.mac)
  return placeOf(link) === origin.place
}

/** No container can make an interface without a kind; which of them it is says what it was built with, where it says so. */
function isPhysical(link: Link, origin: Origin): boolean {
  if (isLoopback(link)) return false
  if (origin.permanentMac !== undefined) return isSameMac(link.permanentMac, origin.permanentMac)
  return link.alias === origin.name || isSameMac(link.mac, origin.mac)
}

/** On the host, under any name. */
function findAtHome(host: Net, origin: Origin): Link | undefined {
  const byName = host.links.find(origin.name)
  if (byName !== undefined && byName.alias === origin.name && (byName.kind ?? '') === origin.kind) return byName
  return host.links.list().find(link => isAtHome(link, origin))
}

function isAtHome(link: Link, origin: Origin): boolean {
  if ((link.kind ?? '') !== origin.kind) return false
  if (origin.kind === '') return isPhysical(link, origin)
  return link.alias === origin.name && isSameMac(link.mac, origin.mac)
}

/** Whether the link may be the device, whatever its name and alias say. */
export function mayBe(link: Link, origin: Origin): boolean {
  return isSameMac(link.permanentMac, origin.permanentMac) || isSameMac(link.mac, origin.mac)
}

function isSameMac(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a !== undefined && b !== undefined && macText(a) === macText(b)
}

function macText(mac: Uint8Array | undefined): string {
  return mac === undefined ? '' : formatMac(mac)
}

/**
 * With its old name where that is free, which is the rule; else under one that says whose it is, for losing the device
 * with the namespace would be worse than a strange name. Alias and MAC first: a container may have changed them, and they
 * are what a virtual one is known by at home.
 */
function moveHome(host: Net, container: Net, device: Link, origin: Origin): void {
  const mac = isSameMac(device.mac, origin.mac) ? undefined : origin.mac
  container.links.set(device.index, { up: false, alias: origin.name, mac })
  try {
    container.links.set(device.index, { netns: host, name: origin.name })
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    // The kernel moves before it renames: the device may be home already, still under the container's name.
    if (findAtHome(host, origin) === undefined) {
      container.links.set(device.index, { netns: host, name: strayName(origin.name, origin.mac) })
    }
  }
}

/** The name of a device whose own name, which its alias keeps, is another's. */
function strayName(name: string, mac: Uint8Array | undefined): string {
  return hashedName('dev', `${name} ${macText(mac)}`)
}

/** A device that came home under another name than this one, which was taken. */
export function findStray(links: readonly Link[], name: string): Link | undefined {
  return links.find(link => link.alias === name && link.name === strayName(name, link.mac))
}

/** All of them, each with the name that it should have. */
export function findStrays(links: readonly Link[]): readonly Link[] {
  return links.filter(link => link.alias !== undefined && link.name === strayName(link.alias, link.mac))
}

/** The alias last: it is what the next DEL knows the device by, if this one is stopped on its way. */
function restore(host: Net, device: Link, origin: Origin): void {
  const { name } = origin
  const renamed = device.name === name || rename(host, device, origin)
  const mtu = device.mtu === origin.mtu ? undefined : origin.mtu
  const mac = macText(device.mac) === macText(origin.mac) ? undefined : origin.mac
  if (mtu !== undefined || mac !== undefined) host.links.set(device.index, { mtu, mac })
  if (origin.isUp) host.links.set(device.index, { up: true })
  // Somebody looking for the device finds its name there as long as it does not have it.
  host.links.set(device.index, { alias: renamed ? origin.alias : name })
}

/** @returns false when another interface has got the name meanwhile */
function rename(host: Net, device: Link, origin: Origin): boolean {
  host.links.set(device.index, { up: false })
  try {
    host.links.set(device.index, { name: origin.name })
    return true
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    const stray = strayName(origin.name, origin.mac)
    if (device.name !== stray) host.links.set(device.index, { name: stray })
    process.stderr.write(
      `host-device: ${JSON.stringify(origin.name)} is home as ${JSON.stringify(stray)}: its name is taken; ` +
        'the next ADD of it, or GC once the name is free, gives it back\n'
    )
    return false
  }
}

/** Gives a stray its name back, unless it is still taken. */
export function reclaim(host: Net, stray: Link): void {
  const name = stray.alias ?? ''
  if (name === '' || host.links.find(name) !== undefined) return
  host.links.set(stray.index, { up: false })
  host.links.set(stray.index, { name, alias: '' })
  if (stray.isUp) host.links.set(stray.index, { up: true })
}
