/**
 * ptp: a cable between host and container. Everything that the container sends goes through the host, even to its
 * neighbours on the same network.
 *
 *     host                                      container
 *       veth… (10.1.0.1/32) ================== eth0 (10.1.0.7/24)
 *         10.1.0.7 dev veth…                     10.1.0.1 dev eth0
 *                                                10.1.0.0/24 via 10.1.0.1
 */
import { attachContainer, checkContainer } from '../../lib/attach/container.ts'
import {
  attachmentProblems,
  expectedAttachment,
  interfaceOf,
  ipsOnInterface,
  kernelRoutes
} from '../../lib/attach/interface.ts'
import { effectiveDns, leaseAddresses, requireIpam } from '../../lib/attach/ipam.ts'
import { journalOf } from '../../lib/attach/journal.ts'
import {
  addMasquerade,
  delMasquerade,
  gcStrayMasquerade,
  type MasqueradeConfig,
  masqueradeProblems,
  readMasquerade
} from '../../lib/attach/masquerade.ts'
import { ownerMark } from '../../lib/attach/owner.ts'
import { readMtu } from '../../lib/attach/parent.ts'
import { recordAttachment, refuseTakenName, removeFromContainer, takenName } from '../../lib/attach/single-link.ts'
import { removeStale } from '../../lib/attach/stale.ts'
import { Steps } from '../../lib/attach/steps.ts'
import { hostEndName } from '../../lib/attach/veth-port.ts'
import { requestedMac } from '../../lib/cni/inputs.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { Result } from '../../lib/cni/result.ts'
import { jsonObject, jsonString } from '../../lib/config/json.ts'
import { configureInterface } from '../../lib/net/configure-interface.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import { asError, errnoOf } from '../../lib/sys/errors.ts'
import type { Undo } from '../../lib/undo.ts'
import { containerRoutes, hostProblems, setUpHostEnd, withGateways } from './cable.ts'

/** Where the container's interface stands in the result: after the host's end. */
const CONTAINER_INDEX = 1

interface Config {
  /** bytes */
  readonly mtu: number | undefined
  readonly mac: Uint8Array | undefined
  readonly masquerade: MasqueradeConfig
}

export function ptp(kernel: Kernel): Plugin {
  return {
    name: 'ptp',
    since: '0.1.0',
    add: request => add(kernel, request),
    check: request => check(kernel, request),
    del: request => del(kernel, request),
    gc: request => gc(kernel, request),
    status: request => status(request)
  }
}

function readConfig(request: Request): Config {
  const mtu = readMtu(request.config)
  const mac = requestedMac(request)
  const masquerade = readMasquerade(request.config)
  requireIpam(request)
  request.config.finish()
  return { mtu, mac, masquerade }
}

function add(kernel: Kernel, request: Request): Result {
  const config = readConfig(request)
  return attachContainer(kernel, request, (container, undo) => attach(kernel.host(), container, request, config, undo))
}

function attach(host: Net, container: Net, request: Request, config: Config, undo: Undo): Result {
  refuseTakenName(container, request)
  const name = hostEndName(request)
  const entry = jsonObject([
    ['netns', jsonString(request.netns)],
    ['hostEnd', jsonString(name)]
  ])
  const journal = journalOf(request, 'ptp')
  recordAttachment(journal, request, entry, undo)
  const hostEnd = addCable(host, container, request, name, config)
  undo.push(`link ${JSON.stringify(name)}`, () => host.links.removeByIndex(hostEnd.index))
  const leased = leaseAddresses(request, undo)
  const ips = withGateways(leased.ips)
  setUpHostEnd(host, hostEnd, ips)
  addMasquerade(host, request, config.masquerade, ips, journal, entry, undo)
  const end = container.links.get(request.ifName)
  configureInterface(container, end, {
    addresses: ips.map(ip => ip.address),
    routes: containerRoutes(ips).concat(kernelRoutes({ ...leased, ips })),
    noPrefixRoutes: true,
    alias: ownerMark(request.network, request.containerId, request.ifName)
  })
  return {
    interfaces: [interfaceOf(hostEnd), interfaceOf(end, request.netns)],
    ips: ipsOnInterface(ips, CONTAINER_INDEX),
    routes: leased.routes,
    dns: effectiveDns(request, leased)
  }
}

function addCable(host: Net, container: Net, request: Request, name: string, config: Config): Link {
  try {
    return host.links.add({
      name,
      kind: { kind: 'veth', peer: { name: request.ifName, netns: container, mtu: config.mtu, mac: config.mac } },
      mtu: config.mtu
    })
  } catch (error) {
    const known = asError(error)
    const isTaken = errnoOf(known) === 'EEXIST' && container.links.find(request.ifName) !== undefined
    throw isTaken ? takenName(request) : known
  }
}

/** Rules, cable, addresses: addresses that are given back while it is there would soon be two containers'. */
function del(kernel: Kernel, request: Request): void {
  const steps = new Steps('DEL')
  const journal = journalOf(request, 'ptp')
  const host = kernel.host()
  steps.attempt(() => delMasquerade(host, request, journal.read(request.containerId, request.ifName)))
  steps.attempt(() => removeCable(kernel, host, request))
  steps.attempt(() => request.ipam.del())
  steps.attempt(() => journal.remove(request.containerId, request.ifName))
  steps.finish()
}

function removeCable(kernel: Kernel, host: Net, request: Request): void {
  if (removeHostEnd(host, hostEndName(request))) return
  // Another implementation's has a name that cannot be told: the container's end leads to it.
  removeFromContainer(kernel, request, '', 'veth')
}

function removeHostEnd(host: Net, name: string): boolean {
  const link = host.links.find(name)
  return link !== undefined && link.kind === 'veth' && host.links.removeByIndex(link.index)
}

function check(kernel: Kernel, request: Request): void {
  const config = readConfig(request)
  const expected = expectedAttachment(request, 'veth')
  request.ipam.check()
  checkContainer(kernel, request, container => {
    const ips = withGateways(request.prevResult?.ips ?? []).filter(ip =>
      expected.addresses.some(address => address === ip.address)
    )
    const routes = containerRoutes(ips).concat(expected.routes)
    const problems = attachmentProblems(container, { ...expected, routes })
    const host = kernel.host()
    return problems.concat(
      hostProblems(host, container, request, hostEndName(request), ips),
      masqueradeProblems(host, request, config.masquerade, ips)
    )
  })
}

function gc(kernel: Kernel, request: Request): void {
  const steps = new Steps('GC')
  const journal = journalOf(request, 'ptp')
  const host = kernel.host()
  removeStale(journal, request, steps, (gone, entry, removed) => {
    removed.attempt(() => delMasquerade(host, gone, entry))
    removed.attempt(() => removeHostEnd(host, hostEndName(gone)))
  })
  steps.attempt(() => gcStrayMasquerade(host, request))
  steps.attempt(() => request.ipam.gc())
  steps.finish()
}

function status(request: Request): void {
  readConfig(request)
  request.ipam.status()
}
