/**
 * firewalld, over D-Bus: addresses as sources of a zone. What is added so lasts until firewalld reloads.
 *
 * @source firewalld.dbus(5), interface org.fedoraproject.FirewallD1.zone; firewalld's error codes are the first word
 *   of the error's text
 */
import type { IpAddress } from '../ip/address.ts'
import { formatPrefix, hostPrefix } from '../ip/prefix.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import { SysError } from '../sys/errors.ts'
import { Dbus, DbusError } from './dbus.ts'

const SERVICE = 'org.fedoraproject.FirewallD1'
const PATH = '/org/fedoraproject/FirewallD1'
const ZONES = 'org.fedoraproject.FirewallD1.zone'

/** Whether firewalld is on the system bus. No bus means no firewalld. */
export function isFirewalldRunning(): boolean {
  try {
    return withBus(bus => bus.hasService(SERVICE))
  } catch (error) {
    if (error instanceof SysError) return false
    throw error
  }
}

/** Puts addresses into a zone; those that are in it already stay. */
export function addToZone(zone: string, addresses: readonly IpAddress[]): void {
  withBus(bus => {
    for (const address of addresses)
      callZone(bus, 'addSource', [zone, sourceOf(address)], ['ALREADY_ENABLED', 'ZONE_ALREADY_SET'])
    return true
  })
}

/** Takes them out again; absent ones are no error. */
export function removeFromZone(zone: string, addresses: readonly IpAddress[]): void {
  withBus(bus => {
    for (const address of addresses)
      callZone(bus, 'removeSource', [zone, sourceOf(address)], ['UNKNOWN_SOURCE', 'NOT_ENABLED'])
    return true
  })
}

/** Whether all are in the zone. */
export function areInZone(zone: string, addresses: readonly IpAddress[]): boolean {
  return withBus(bus => addresses.every(address => callZone(bus, 'querySource', [zone, sourceOf(address)], [])))
}

function sourceOf(address: IpAddress): string {
  return formatPrefix(hostPrefix(address))
}

/** A method of the zone about one source, such as `10.4.0.5/32`. */
function callZone(
  bus: Dbus,
  member: string,
  [zone, source]: readonly [string, string],
  harmless: readonly string[]
): boolean {
  try {
    return bus.call({ destination: SERVICE, path: PATH, interfaceName: ZONES, member }, [zone, source]).boolean
  } catch (error) {
    if (!(error instanceof DbusError)) throw error
    const { errorName, text } = error
    const code = text.split(':')[0] ?? ''
    if (harmless.some(one => one === code)) return true
    throw new KernelError(`firewalld ${member}`, `${JSON.stringify(zone)} ${source}`, code, `${errorName}: ${text}`)
  }
}

function withBus(work: (bus: Dbus) => boolean): boolean {
  const bus = new Dbus()
  try {
    return work(bus)
  } finally {
    bus.close()
  }
}
