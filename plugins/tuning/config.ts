/** What a network configuration and the caller's arguments ask of tuning. */

import { cniArgsSection, requestedMac } from '../../lib/cni/inputs.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import { readMac } from '../../lib/config/addresses.ts'
import type { Section } from '../../lib/config/section.ts'
import type { LinkChange } from '../../lib/net/links.ts'
import { isValue, type Sysctl, sysctlPath } from './sysctl.ts'

export interface TuningConfig {
  readonly sysctls: readonly Sysctl[]
  /** What to set of the interface; undefined when nothing. */
  readonly link: LinkChange | undefined
}

/** The smallest MTU of Ethernet (linux/if_ether.h ETH_MIN_MTU). */
const MIN_MTU = 68
const MAX_MTU = 65536
const MAX_QUEUE = 2_147_483_647

/** @throws CniError code 4 for a wrong MAC in CNI_ARGS; every other mistake is a problem of `request.config` */
export function readConfig(request: Request): TuningConfig {
  const { config } = request
  const args = cniArgsSection(config)
  const link: LinkChange = {
    mac: requestedMac(request) ?? readMac(config, 'mac'),
    mtu: mtuOf(args) ?? mtuOf(config),
    // false leaves the mode alone, since it is also what an absent key means.
    promiscuous: (booleanOf(args, 'promisc') ?? config.boolean('promisc', false)) ? true : undefined,
    allMulticast: booleanOf(args, 'allmulti') ?? booleanOf(config, 'allmulti'),
    txQueueLength: args?.integer('txQLen', 0, MAX_QUEUE) ?? config.integer('txQLen', 0, MAX_QUEUE)
  }
  return { sysctls: sysctlsOf(request, args), link: isEmptyChange(link) ? undefined : link }
}

/** Whether nothing is to be changed. */
export function isEmptyChange(link: LinkChange): boolean {
  return (
    link.mac === undefined &&
    link.mtu === undefined &&
    link.promiscuous === undefined &&
    link.allMulticast === undefined &&
    link.txQueueLength === undefined
  )
}

/** Zero leaves the MTU alone. */
function mtuOf(section: Section | undefined): number | undefined {
  const mtu = section?.integer('mtu', 0, MAX_MTU)
  if (mtu === undefined || mtu === 0) return undefined
  if (mtu < MIN_MTU) section?.problem('mtu', `must be 0 or an integer from ${String(MIN_MTU)} to ${String(MAX_MTU)}`)
  return mtu
}

function booleanOf(section: Section | undefined, key: string): boolean | undefined {
  return section?.has(key) === true ? section.boolean(key, false) : undefined
}

/** Those of the configuration, then those of the caller, who replaces what names the same file. */
function sysctlsOf(request: Request, args: Section | undefined): readonly Sysctl[] {
  const configured = sysctlsIn(request.config, request.ifName)
  const asked = args === undefined ? [] : sysctlsIn(args, request.ifName)
  const replaced = new Set<string>()
  for (const one of asked) replaced.add(one.path)
  return configured.filter(one => !replaced.has(one.path)).concat(asked)
}

function sysctlsIn(parent: Section, ifName: string): readonly Sysctl[] {
  const section = parent.section('sysctl')
  if (section === undefined) return []
  const sysctls: Sysctl[] = []
  const named = new Set<string>()
  for (const member of section.members()) {
    const { key, json } = member
    const path = sysctlPath(key, ifName)
    if (path === undefined) {
      section.memberProblem(member, 'must be the key of a sysctl below net, such as "net.ipv4.conf.IFNAME.arp_filter"')
    } else if (named.has(path)) {
      section.memberProblem(member, `must not name a sysctl that another key names (/proc/sys/net/${path})`)
    } else if (json.type !== 'string') {
      section.memberProblem(member, 'must be a string')
    } else if (!isValue(json.text)) {
      section.memberProblem(member, 'must be a value in one line')
    } else {
      named.add(path)
      sysctls.push({ key, path, value: json.text })
    }
  }
  return sysctls
}
