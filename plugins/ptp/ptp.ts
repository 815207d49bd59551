/**
 * ptp: a veth pair between host and container. Everything that the container sends goes through the host, even to its
 * neighbours on the same network.
 *
 *     host                                      container
 *       veth… (10.1.0.1/32) ================== eth0 (10.1.0.7/24)
 *         10.1.0.7 dev veth…                     10.1.0.1 dev eth0
 *                                                10.1.0.0/24 via 10.1.0.1
 */
import { ownerMark, refuseTakenName, removeFromContainer, withNetns } from '../../lib/attach/attachment.ts'
import { attachmentPlugin, forget, inJournal } from '../../lib/attach/attachment-plugin.ts'
import { afterPrevious } from '../../lib/attach/chain-result.ts'
import {
  attachmentProblems,
  expectedAttachment,
  interfaceOf,
  ipsOnInterface,
  kernelRoutes,
  previousIps
} from '../../lib/attach/interface.ts'
import { effectiveDns, requireIpam } from '../../lib/attach/ipam.ts'
import {
  addMasquerade,
  collectStrayMasquerade,
  delMasquerade,
  type MasqueradeConfig,
  masqueradeProblems,
  readMasquerade
} from '../../lib/attach/masquerade.ts'
import { readMtu } from '../../lib/attach/parent.ts'
import type { Session } from '../../lib/attach/session.ts'
import { addVeth, hostEndName, removeHostEnds, removeHostEndsTogether } from '../../lib/attach/veth.ts'
import { requestedMac } from '../../lib/cni/inputs.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { Result } from '../../lib/cni/result.ts'
import { type Json, jsonObject, jsonString } from '../../lib/config/json.ts'
import { configureInterface } from '../../lib/net/configure-interface.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import { containerRoutes, hostProblems, requireGateways, setUpHostEnd } from './veth.ts'

/** Where the container's interface stands in the result: after the host's end. */
const CONTAINER_INDEX = 1

interface Config {
  /** bytes */
  readonly mtu: number | undefined
  readonly mac: Uint8Array | undefined
  readonly masquerade: MasqueradeConfig
}

export function ptp(kernel: Kernel): Plugin {
  return attachmentPlugin(kernel, {
    name: 'ptp',
    since: '0.1.0',
    hasAddresses: true,
    isExclusive: false,
    records: inJournal,
    add,
    check,
    removeRules: delMasquerade,
    removeLinks,
    removeLinksTogether: removeHostEndsTogether,
    forget,
    collectStrays: collectStrayMasquerade,
    status
  })
}

function readConfig(request: Request): Config {
  const mtu = readMtu(request.config)
  const mac = requestedMac(request)
  const masquerade = readMasquerade(request)
  requireIpam(request)
  request.config.finish()
  return { mtu, mac, masquerade }
}

function add(session: Session): Result {
  const { request, host } = session
  const config = readConfig(request)
  refuseTakenName(session)
  session.record(withNetns(session, jsonObject([['hostEnd', jsonString(hostEndName(request))]])))
  const { hostEnd, containerEnd } = addVeth(session, { bridgeIndex: undefined, mtu: config.mtu, mac: config.mac })
  const leased = session.lease()
  const ips = requireGateways(leased.ips)
  setUpHostEnd(host, hostEnd, ips)
  addMasquerade(session, config.masquerade, ips)
  configureInterface(session.container(), containerEnd, {
    addresses: ips.map(ip => ip.address),
    routes: containerRoutes(ips).concat(kernelRoutes({ ...leased, ips })),
    noPrefixRoutes: true,
    alias: ownerMark(request)
  })
  return afterPrevious(request, {
    interfaces: [interfaceOf(hostEnd), interfaceOf(containerEnd, request.netns)],
    ips: ipsOnInterface(ips, CONTAINER_INDEX),
    routes: leased.routes,
    dns: effectiveDns(request, leased)
  })
}

function removeLinks(session: Session, entry: Json | undefined): void {
  removeHostEnds(session)
  // Another implementation's has a name that cannot be told: the container's end leads to it.
  session.attempt(() => removeFromContainer(session, 'veth', entry))
}

function check(session: Session): readonly string[] {
  const { request } = session
  const config = readConfig(request)
  const expected = expectedAttachment(request, 'veth')
  request.ipam.check()
  const ips = requireGateways(previousIps(request))
  const routes = expected.routes.concat(containerRoutes(ips))
  return attachmentProblems(session, { ...expected, routes }).concat(
    hostProblems(session, ips),
    masqueradeProblems(session, config.masquerade, ips)
  )
}

function status(session: Session): void {
  readConfig(session.request)
}
