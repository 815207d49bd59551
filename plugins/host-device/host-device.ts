/**
 * host-device: an interface of the host as the container's own, for as long as the container lives.
 *
 *     host                          container
 *       eth2  ---- moved to ---->    eth0 (192.0.2.7/24)
 *       eth2  <--- comes home ----   DEL, or the namespace's end
 */
import { attachContainer, checkContainer, visitContainer } from '../../lib/attach/container.ts'
import {
  attachmentProblems,
  configureAttachment,
  expectedAttachment,
  interfaceOf,
  ipsOnInterface
} from '../../lib/attach/interface.ts'
import { effectiveDns, leaseAddresses, releaseOverInterface } from '../../lib/attach/ipam.ts'
import { journalOf } from '../../lib/attach/journal.ts'
import { recordAttachment, refuseTakenName, takenName } from '../../lib/attach/single-link.ts'
import { removeStale } from '../../lib/attach/stale.ts'
import { Steps } from '../../lib/attach/steps.ts'
import { CniError, INVALID_CONFIG, NOT_AVAILABLE } from '../../lib/cni/error.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import { EMPTY_RESULT, type Interface, type Result } from '../../lib/cni/result.ts'
import { jsonObject, jsonString } from '../../lib/config/json.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import { asError, errnoOf } from '../../lib/sys/errors.ts'
import type { Undo } from '../../lib/undo.ts'
import { type DeviceName, deviceText, findDevice, isForPrograms, pciIdOf, readDeviceName } from './device.ts'
import { bringHome, type Origin, originFromJson, originOf, originToJson, sendToContainer } from './journey.ts'

const PLUGIN = 'host-device'

/** @param sysfs where /sys is */
export function hostDevice(kernel: Kernel, sysfs = '/sys'): Plugin {
  return {
    name: PLUGIN,
    since: '0.1.0',
    add: request => add(kernel, request, sysfs),
    check: request => check(kernel, request, sysfs),
    del: request => del(kernel, request),
    gc: request => gc(kernel, request),
    status: request => status(kernel, request, sysfs)
  }
}

function readConfig(request: Request, sysfs: string): DeviceName {
  const name = readDeviceName(request, sysfs)
  request.ipam.type()
  request.config.finish()
  return name
}

function add(kernel: Kernel, request: Request, sysfs: string): Result {
  const name = readConfig(request, sysfs)
  return attachContainer(kernel, request, (container, undo) =>
    isForPrograms(name)
      ? attachForPrograms(request, name, undo)
      : attach(kernel.host(), container, request, name, sysfs, undo)
  )
}

function attach(host: Net, container: Net, request: Request, name: DeviceName, sysfs: string, undo: Undo): Result {
  refuseTakenName(container, request)
  const device = getDevice(host, name)
  const pciID = name.pciId ?? pciIdOf(device.name, sysfs)
  const origin = originOf(device, request.netns)
  recordAttachment(journalOf(request, PLUGIN), request, originToJson(origin), undo)
  undo.push(deviceText(name), () => bringHome(host, container, origin, request.ifName))
  move(host, container, device, request)
  const link = container.links.get(request.ifName)
  const leased = leaseAddresses(request, undo)
  configureAttachment(container, link, request, leased, { alias: device.name })
  return resultOf(request, leased, { ...interfaceOf(link, request.netns), pciID })
}

/** @throws CniError code 7 when it is not on the host: unplugged, misspelt, or in another container */
function getDevice(host: Net, name: DeviceName): Link {
  const device = findDevice(host, name)
  if (device !== undefined) return device
  const message = `find ${deviceText(name)}: not on the host`
  throw new CniError(INVALID_CONFIG, message, 'plug it in, release it from the container that has it, or name another')
}

/** Of two ADDs for one device the kernel lets the first have it; to the second it is gone. */
function move(host: Net, container: Net, device: Link, request: Request): void {
  try {
    sendToContainer(host, container, device, request.ifName)
  } catch (error) {
    const known = asError(error)
    if (errnoOf(known) === 'EEXIST') throw takenName(request)
    if (errnoOf(known) !== 'ENODEV') throw known
    const message = `move device ${JSON.stringify(device.name)}: it was taken by somebody else meanwhile`
    throw new CniError(INVALID_CONFIG, message, 'one device is for one container at a time')
  }
}

/** A device for DPDK and the like: there is nothing to move, but it may have addresses. */
function attachForPrograms(request: Request, name: DeviceName, undo: Undo): Result {
  const entry = jsonObject([['netns', jsonString(request.netns)]])
  recordAttachment(journalOf(request, PLUGIN), request, entry, undo)
  const leased = leaseAddresses(request, undo)
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

/** The device before its addresses: given back earlier, they would be another container's while it still has them. */
function del(kernel: Kernel, request: Request): void {
  const steps = new Steps('DEL')
  const journal = journalOf(request, PLUGIN)
  steps.attempt(() => releaseOverInterface(request))
  const isHome = steps.attempt(() => {
    const origin = originFromJson(journal.read(request.containerId, request.ifName))
    if (origin === undefined) returnForeign(kernel, request)
    else returnDevice(kernel, origin, request.netns, request.ifName)
  })
  steps.attempt(() => request.ipam.del())
  // Without the entry nothing would tell the next DEL the device's name.
  if (isHome) steps.attempt(() => journal.remove(request.containerId, request.ifName))
  steps.finish()
}

function returnDevice(kernel: Kernel, origin: Origin, netns: string, ifName: string): void {
  const path = netns === '' ? origin.netns : netns
  const container = path === '' ? undefined : kernel.find(path)
  try {
    bringHome(kernel.host(), container, origin, ifName)
  } finally {
    if (container !== undefined) container.close()
  }
}

/**
 * A device that another implementation, or one before the journal was lost, moved: its alias is its old name.
 *
 * The container can write aliases too. A virtual interface comes home as the configured device only, and only when that
 * is not there: or the container could make one and have it put onto the host, whose own configuration may wait for one.
 */
function returnForeign(kernel: Kernel, request: Request): void {
  visitContainer(kernel, request.netns, container => {
    const link = container.links.find(request.ifName)
    const alias = link?.alias ?? ''
    if (link === undefined || !/^[^\s/:]{1,15}$/.test(alias)) return
    if (link.kind !== undefined && !isMissing(kernel.host(), request, alias)) return
    const origin = { ...originOf(link, request.netns), name: alias, alias: '', isUp: false }
    bringHome(kernel.host(), container, origin, request.ifName)
  })
}

function isMissing(host: Net, request: Request, name: string): boolean {
  return name === request.config.text('device') && host.links.find(name) === undefined
}

function check(kernel: Kernel, request: Request, sysfs: string): void {
  const name = readConfig(request, sysfs)
  const expected = expectedAttachment(request, undefined)
  request.ipam.check()
  if (isForPrograms(name)) return
  checkContainer(kernel, request, container => attachmentProblems(container, expected))
}

function gc(kernel: Kernel, request: Request): void {
  const steps = new Steps('GC')
  removeStale(journalOf(request, PLUGIN), request, steps, (gone, entry, removed) => {
    const origin = originFromJson(entry)
    if (origin !== undefined) removed.attempt(() => returnDevice(kernel, origin, '', gone.ifName))
  })
  steps.attempt(() => request.ipam.gc())
  steps.finish()
}

/** A device that one of this network's containers has is where it should be. */
function status(kernel: Kernel, request: Request, sysfs: string): void {
  const name = readConfig(request, sysfs)
  const isAway = journalOf(request, PLUGIN).list().length > 0
  if (isNamed(name) && !isAway && !isForPrograms(name) && findDevice(kernel.host(), name) === undefined) {
    throw new CniError(NOT_AVAILABLE, `find ${deviceText(name)}: not on the host`, 'plug it in or name another device')
  }
  request.ipam.status()
}

function isNamed(name: DeviceName): boolean {
  return name.device !== undefined || name.mac !== undefined || name.sysfs !== undefined
}
