/** Finding the device that the configuration means: by name, MAC, or its place in the machine. */
import { readdirSync, realpathSync } from 'node:fs'
import { presentText } from '../../lib/attach/parent.ts'
import { runtimeConfig } from '../../lib/cni/inputs.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import { readMac } from '../../lib/config/addresses.ts'
import { formatMac } from '../../lib/ip/mac.ts'
import type { Link } from '../../lib/net/links.ts'

/** One way of naming a device; none at all only at STATUS. */
export interface DeviceName {
  readonly device?: string | undefined
  readonly mac?: Uint8Array | undefined
  /** The folder of the device below /sys, which holds its `net` folder. */
  readonly sysfs?: string | undefined
  /** The PCI address, where it is named by one. */
  readonly pciId?: string | undefined
}

/** @source linux Documentation/PCI/sysfs-pci.rst: domain:bus:device.function */
const PCI_ID = /^[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]$/

/** @source linux Documentation/driver-api/auxiliary_bus.rst: module.device.id */
const AUXILIARY_ID = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[0-9]+$/

/** Drivers that give a PCI device to a program as a whole: there is no interface to move. */
const USERSPACE_DRIVERS: readonly string[] = ['vfio-pci', 'uio_pci_generic', 'igb_uio']

/**
 * Reads `device`, `hwaddr`, `kernelpath` and `pciBusID`, of which there must be one, and `runtimeConfig.deviceID`, which
 * a device manager passes and which goes before them.
 *
 * @param sysfs where /sys is
 */
export function readDeviceName(request: Request, sysfs: string): DeviceName {
  const section = request.config
  const runtime = runtimeConfig(section)
  const deviceId = runtime === undefined ? undefined : presentText(runtime, 'deviceID')
  if (runtime !== undefined && deviceId !== undefined) {
    if (PCI_ID.test(deviceId)) return ofPci(deviceId, sysfs)
    if (AUXILIARY_ID.test(deviceId)) return { sysfs: `${sysfs}/bus/auxiliary/devices/${deviceId}` }
    runtime.problem('deviceID', 'must be a PCI address or the name of an auxiliary device')
  }
  const device = presentText(section, 'device')
  const mac = readMac(section, 'hwaddr')
  const kernelPath = presentText(section, 'kernelpath')
  const pciId = presentText(section, 'pciBusID')
  const given = [device, mac === undefined ? undefined : 'mac', kernelPath, pciId].filter(one => one !== undefined)
  // Which device a device manager will pass is not known before ADD.
  if (given.length !== 1 && !(given.length === 0 && request.command === 'STATUS')) {
    section.problem(
      'device',
      'or one (and only one) of hwaddr, kernelpath, pciBusID or runtimeConfig.deviceID must be set'
    )
  }
  if (kernelPath !== undefined) return { sysfs: readKernelPath(request, kernelPath, sysfs) }
  if (pciId !== undefined && !PCI_ID.test(pciId)) section.problem('pciBusID', 'must be like "0000:00:1f.6"')
  if (pciId !== undefined) return ofPci(pciId, sysfs)
  return { device, mac }
}

function ofPci(text: string, sysfs: string): DeviceName {
  const pciId = text.toLowerCase()
  return { pciId, sysfs: `${sysfs}/bus/pci/devices/${pciId}` }
}

function readKernelPath(request: Request, path: string, sysfs: string): string {
  if (!path.startsWith('/sys/devices/') || path.split('/').some(part => part === '..')) {
    request.config.problem('kernelpath', 'must begin with /sys/devices/')
  }
  return `${sysfs}${path.slice('/sys'.length)}`
}

/** lo is its namespace's own and has no kind either. @source linux/if.h IFF_LOOPBACK */
export function isLoopback(link: Link): boolean {
  return (link.flags & 8) !== 0
}

/** The device among the links of a namespace; undefined when it is not there. */
export function findDevice(all: readonly Link[], name: DeviceName): Link | undefined {
  const links = all.filter(link => !isLoopback(link))
  if (name.device !== undefined) return findByName(links, name.device)
  if (name.mac !== undefined) return findByMac(links, name.mac)
  const names = name.sysfs === undefined ? [] : netFolder(name.sysfs)
  return links.find(link => names.some(one => one === link.name))
}

function findByName(links: readonly Link[], name: string): Link | undefined {
  return links.find(link => link.name === name) ?? links.find(link => link.altNames.some(other => other === name))
}

/**
 * Bridges, VLANs and macvlans show the MAC of the device below them too: the physical one, which has no kind, is meant;
 * without any, the first.
 */
function findByMac(links: readonly Link[], mac: Uint8Array): Link | undefined {
  const text = formatMac(mac)
  const matches = links.filter(link => link.mac !== undefined && formatMac(link.mac) === text)
  return matches.find(link => link.kind === undefined) ?? matches[0]
}

/** The interfaces of a device: in its `net` folder, of a virtio device one folder deeper. */
function netFolder(sysfs: string): readonly string[] {
  const names: string[] = listFolder(`${sysfs}/net`).slice(0)
  for (const entry of listFolder(sysfs)) {
    if (!entry.startsWith('virtio')) continue
    for (const name of listFolder(`${sysfs}/${entry}/net`)) names.push(name)
  }
  return names
}

function listFolder(path: string): readonly string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

/** Whether the PCI device belongs to a program by way of a driver for that, and so has no interface. */
export function isForPrograms(name: DeviceName): boolean {
  if (name.pciId === undefined || name.sysfs === undefined) return false
  const driver = lastPart(`${name.sysfs}/driver`)
  return USERSPACE_DRIVERS.some(one => one === driver)
}

/** The PCI address of an interface, undefined when it is on another bus or none. */
export function pciIdOf(interfaceName: string, sysfs: string): string | undefined {
  const path = realPath(`${sysfs}/class/net/${interfaceName}/device`)
  const parts = path.split('/').filter(part => PCI_ID.test(part))
  return parts[parts.length - 1]
}

function lastPart(path: string): string {
  const parts = realPath(path).split('/')
  return parts[parts.length - 1] ?? ''
}

/** Where a link leads; '' when it leads nowhere. */
function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return ''
  }
}

/** The name in words, for messages. */
export function deviceText(name: DeviceName): string {
  if (name.device !== undefined) return `device ${JSON.stringify(name.device)}`
  if (name.mac !== undefined) return `device with MAC ${formatMac(name.mac)}`
  return name.pciId === undefined ? `device ${JSON.stringify(name.sysfs ?? '')}` : `PCI device ${name.pciId}`
}
