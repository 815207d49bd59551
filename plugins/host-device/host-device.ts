/**
 * host-device: an interface of the host as the container's own, for as long as the container lives.
 *
 *     host                          container
 *       eth2  ---- moved to ---->    eth0 (192.0.2.7/24)
 *       eth2  <--- comes home ----   DEL, or the namespace's end
 */
import { refuseTakenName, takenName, withNetns } from '../../lib/attach/attachment.ts'
import { attachmentPlugin, forget, inJournal, nothing, oneByOne } from '../../lib/attach/attachment-plugin.ts'
import { everyEntry } from '../../lib/attach/every-entry.ts'
import {
  attachmentProblems,
  configureAttachment,
  expectedAttachment,
  interfaceOf,
  ipsOnInterface
} from '../../lib/attach/interface.ts'
import { effectiveDns } from '../../lib/attach/ipam.ts'
import type { Session } from '../../lib/attach/session.ts'
import { CniError, INVALID_CONFIG, NOT_AVAILABLE } from '../../lib/cni/error.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import { EMPTY_RESULT, type Interface, type Result } from '../../lib/cni/result.ts'
import { type Json, jsonObject, jsonString } from '../../lib/config/json.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import { asError, errnoOf } from '../../lib/sys/errors.ts'
import { type DeviceName, deviceText, findDevice, isForPrograms, pciIdOf, readDeviceName } from './device.ts'
import {
  bringHome,
  findStray,
  findStrays,
  mayBe,
  type Origin,
  originFromJson,
  originOf,
  originToJson,
  PLACE,
  placeOf,
  reclaim,
  sendToContainer
} from './move.ts'

const NAME = 'host-device'

/** @param sysfs where /sys is */
export function hostDevice(kernel: Kernel, sysfs = '/sys'): Plugin {
  return attachmentPlugin(kernel, {
    name: NAME,
    since: '0.1.0',
    hasAddresses: true,
    isExclusive: false,
    records: inJournal,
    add: session => add(session, sysfs),
    check: session => check(session, sysfs),
    removeRules: nothing,
    removeLinks,
    removeLinksTogether: oneByOne,
    forget,
    collectStrays,
    status: session => status(session, sysfs)
  })
}

function readConfig(request: Request, sysfs: string): DeviceName {
  const name = readDeviceName(request, sysfs)
  request.ipam.type()
  request.config.finish()
  return name
}

function add(session: Session, sysfs: string): Result {
  const name = readConfig(session.request, sysfs)
  session.container()
  return isForPrograms(name) ? attachForPrograms(session, name) : attach(session, name, sysfs)
}

function attach(session: Session, name: DeviceName, sysfs: string): Result {
  const { request, host } = session
  refuseTakenName(session)
  const { device, origin } = getDevice(session, name)
  const pciID = name.pciId ?? pciIdOf(device.name, sysfs)
  session.record(withNetns(session, originToJson(origin)))
  session.undo.push(deviceText(name), () => bringHome(host, session.container(), origin))
  move(session, device, origin)
  const link = session.container().links.get(request.ifName)
  session.recordAlso([[PLACE, jsonString(placeOf(link))]])
  const leased = session.lease()
  configureAttachment(session, link, leased, { alias: origin.name })
  return resultOf(request, leased, { ...interfaceOf(link, request.netns), pciID })
}

/**
 * The device, and what it shall be when it is home again: its own name, even if that was taken when it came home last.
 *
 * @throws CniError code 7 when it is not on the host: unplugged, misspelt, or in another container
 */
function getDevice(session: Session, name: DeviceName): { readonly device: Link; readonly origin: Origin } {
  const links = session.host.links.list()
  const device = findDevice(links, name) ?? strayFor(session, links, name)
  if (device !== undefined) {
    const stray = findStrays([device])[0]
    const origin = originOf(device)
    return { device, origin: stray === undefined ? origin : { ...origin, name: stray.alias ?? '', alias: '' } }
  }
  const message = `find ${deviceText(name)}: not on the host`
  throw new CniError(INVALID_CONFIG, message, 'plug it in, release it from the container that has it, or name another')
}

function strayFor(session: Session, links: readonly Link[], name: DeviceName): Link | undefined {
  const stray = name.device === undefined ? undefined : findStray(links, name.device)
  return stray === undefined || isRecorded(session, stray) ? undefined : stray
}

/**
 * Whether an attachment's entry tells of the device. Then it is not home for good: the end of its namespace has sent it here,
 * and its name and alias may be the container's words.
 */
function isRecorded(session: Session, device: Link): boolean {
  return everyEntry(session.request.config.text('stateDir'), NAME).some(({ entry }) => {
    const origin = originFromJson(entry)
    return origin !== undefined && mayBe(device, origin)
  })
}

/** Of two ADDs for one device the kernel lets the first have it; to the second it is gone. */
function move(session: Session, device: Link, origin: Origin): void {
  const { host, request } = session
  try {
    sendToContainer(host, session.container(), { index: device.index, name: origin.name }, request.ifName)
  } catch (error) {
    const known = asError(error)
    if (errnoOf(known) === 'EEXIST') throw takenName(request)
    // NETIF_F_NETNS_LOCAL, IFF_NETNS_IMMUTABLE: bridges, bonds of some kernels, batman-adv.
    if (errnoOf(known) === 'EINVAL') throw unmovable(device, known)
    if (errnoOf(known) !== 'ENODEV') throw known
    const message = `move device ${JSON.stringify(device.name)}: it was taken by somebody else meanwhile`
    throw new CniError(INVALID_CONFIG, message, 'one device is for one container at a time')
  }
}

function unmovable({ name, kind }: Link, refused: Error): CniError {
  const expected = 'must name an interface that can be moved into another namespace'
  const got = `${JSON.stringify(name)}, which is of kind ${JSON.stringify(kind ?? 'device')}`
  return new CniError(
    INVALID_CONFIG,
    `device ${expected}, got ${got}: ${refused.message}`,
    'name a network card, or one of its functions; the kernel keeps such as bridges in the namespace that they were made in'
  )
}

/** A device for DPDK and the like: there is nothing to move, but it may have addresses. */
function attachForPrograms(session: Session, name: DeviceName): Result {
  const { request } = session
  session.record(withNetns(session, jsonObject([])))
  const leased = session.lease()
  return resultOf(request, leased, { name: request.ifName, sandbox: request.netns, pciID: name.pciId })
}

function resultOf(request: Request, leased: Result, one: Interface): Result {
  const previous = request.prevResult ?? EMPTY_RESULT
  return {
    interfaces: previous.interfaces.concat([one]),
    ips: previous.ips.concat(ipsOnInterface(leased.ips, previous.interfaces.length)),
    routes: previous.routes.concat(leased.routes),
    dns: effectiveDns(request, leased)
  }
}

/** A device that is nowhere any more has nothing to come home. */
function removeLinks(session: Session, entry: Json | undefined): void {
  const origin = originFromJson(entry)
  if (origin === undefined) returnForeign(session)
  else bringHome(session.host, session.findContainer(entry), origin)
}

/**
 * A device that another implementation, or one before the journal was lost, moved: its alias is its old name.
 *
 * The container can write aliases too. A virtual interface comes home as the configured device only, when that is not there,
 * and when it stands on something of the host's: or the container could make one and have it put onto the host, whose own
 * configuration may wait for one.
 */
function returnForeign(session: Session): void {
  const { host, request } = session
  const container = session.findContainer(undefined)
  const link = container?.links.find(request.ifName)
  const alias = link?.alias ?? ''
  if (container === undefined || link === undefined || !/^[^\s/:]{1,15}$/.test(alias)) return
  if (link.kind !== undefined && !(isMissing(session, alias) && standsOn(container, link, host))) return
  bringHome(host, container, { ...originOf(link), name: alias, alias: '', isUp: false, place: placeOf(link) })
}

/** Whether what is below the link, or its other end, is in that namespace. */
function standsOn(container: Net, link: Link, host: Net): boolean {
  return link.linkNetnsId !== undefined && link.linkNetnsId === container.findNetnsId(host)
}

function isMissing(session: Session, name: string): boolean {
  return name === session.request.config.text('device') && session.host.links.find(name) === undefined
}

/** Devices that came home while their names were taken. */
function collectStrays(session: Session): void {
  for (const stray of findStrays(session.host.links.list())) {
    if (!isRecorded(session, stray)) session.attempt(() => reclaim(session.host, stray))
  }
}

function check(session: Session, sysfs: string): readonly string[] {
  const { request } = session
  const name = readConfig(request, sysfs)
  const expected = expectedAttachment(request, undefined)
  request.ipam.check()
  return isForPrograms(name) ? [] : attachmentProblems(session, expected)
}

/** A device that one of this network's containers has is where it should be. */
function status(session: Session, sysfs: string): void {
  const name = readConfig(session.request, sysfs)
  const isAway = session.journal.list().length > 0
  if (!isNamed(name) || isAway || isForPrograms(name)) return
  if (findDevice(session.host.links.list(), name) !== undefined) return
  throw new CniError(NOT_AVAILABLE, `find ${deviceText(name)}: not on the host`, 'plug it in or name another device')
}

function isNamed(name: DeviceName): boolean {
  return name.device !== undefined || name.mac !== undefined || name.sysfs !== undefined
}
