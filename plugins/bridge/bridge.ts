/**
 * bridge: containers of one network as ports of a bridge on the host.
 *
 *     host                                  container
 *       bridge cni0 (10.1.0.1/16) --- vethXXXXXXXX ==== eth0 (10.1.0.7/16)
 *         |                                                default via 10.1.0.1
 *         +--- vethYYYYYYYY ==== eth0 of the next container
 *
 * The bridge is made by the first container and stays, unless `keepDevices` is false; everything else belongs to one attachment
 * and goes with it.
 */
import { refuseTakenName, removeFromContainer, withNetns } from '../../lib/attach/attachment.ts'
import { attachmentPlugin, inJournal } from '../../lib/attach/attachment-plugin.ts'
import { afterPrevious } from '../../lib/attach/chain-result.ts'
import { requireUnconnected } from '../../lib/attach/connected.ts'
import { withGatewayOf } from '../../lib/attach/gateway.ts'
import { configureAttachment, interfaceOf } from '../../lib/attach/interface.ts'
import { effectiveDns, leasesOverInterface } from '../../lib/attach/ipam.ts'
import { addMasquerade, collectStrayMasquerade, delMasquerade, knownOwners } from '../../lib/attach/masquerade.ts'
import type { Session } from '../../lib/attach/session.ts'
import { addVeth, hostEndName, removeHostEnds, removeHostEndsTogether } from '../../lib/attach/veth.ts'
import { requestedMac } from '../../lib/cni/inputs.ts'
import type { Plugin } from '../../lib/cni/plugin.ts'
import { EMPTY_RESULT, type Result } from '../../lib/cni/result.ts'
import { type Json, jsonBoolean, jsonNumber, jsonObject, jsonString } from '../../lib/config/json.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import { collectSpoofChecks } from '../../lib/nft/spoof-check.ts'
import { check, refuseUnusable } from './check.ts'
import { type BridgeConfig, gatewayName, readConfig } from './config.ts'
import { configurePort, ensureBridge, ensureGateway } from './devices.ts'
import { addSpoofCheck, delSpoofCheck } from './spoof.ts'
import { removeEntry, whileBridgeStays } from './unused.ts'

const NAME = 'bridge'

/** Where the container's interface stands in the result: after the bridge and the host's end. */
const CONTAINER_INDEX = 2

export function bridge(kernel: Kernel): Plugin {
  return attachmentPlugin(kernel, {
    name: NAME,
    since: '0.1.0',
    hasAddresses: true,
    isExclusive: false,
    records: inJournal,
    add,
    check,
    removeRules,
    removeLinks,
    removeLinksTogether: removeHostEndsTogether,
    forget: removeEntry,
    collectStrays,
    status
  })
}

function add(session: Session): Result {
  const { request, host } = session
  const mac = requestedMac(request)
  const config = readConfig(request)
  refuseTakenName(session)
  if (config.keepDevices) session.record(entryOf(session, config))
  else whileBridgeStays(request, config.bridge, () => writeDown(session, config))
  const needsPort = leasesOverInterface(request)
  const before = needsPort ? EMPTY_RESULT : session.lease()

  // The bridge is what a failed ADD may leave: all that can be refused without it has been.
  const device = ensureBridge(host, config)
  const { hostEnd: port, containerEnd: end } = addVeth(session, { bridgeIndex: device.index, mtu: config.mtu, mac })
  configurePort(host, port, config)
  const leased = needsPort ? session.lease() : before
  const addressed = withGatewayOf(config, leased, CONTAINER_INDEX)
  const { ips } = addressed
  const gateway = config.isGateway && ips.length > 0 ? ensureGateway(host, device, ips, config) : undefined

  if (!config.disableContainerInterface) {
    configureAttachment(session, end, addressed, { detectDuplicates: config.enableDad, acceptRa: config.acceptRa })
  }
  if (config.spoofCheck) addSpoofCheck(session, port, end)
  addMasquerade(session, config.masquerade, ips)
  const interfaces = [interfaceOf(device), interfaceOf(port), interfaceOf(end, request.netns)]
  if (gateway !== undefined && config.vlan !== 0) interfaces.push(interfaceOf(gateway))
  return afterPrevious(request, { ...addressed, interfaces, dns: effectiveDns(request, leased) })
}

function writeDown(session: Session, config: BridgeConfig): boolean {
  session.record(entryOf(session, config))
  return true
}

/** What ADD is about to make, for DEL, for GC and for a person who finds it. */
function entryOf(session: Session, config: BridgeConfig): Json {
  const entry = jsonObject([
    ['plugin', jsonString(NAME)],
    ['bridge', jsonString(config.bridge)],
    ['hostEnd', jsonString(hostEndName(session.request))],
    ['macspoofchk', jsonBoolean(config.spoofCheck)],
    ['vlan', config.vlan === 0 ? undefined : jsonNumber(config.vlan)],
    ['keepDevices', config.keepDevices ? undefined : jsonBoolean(false)]
  ])
  return withNetns(session, entry)
}

function removeRules(session: Session, entry: Json | undefined): void {
  session.attempt(() => delMasquerade(session, entry))
  session.attempt(() => delSpoofCheck(session, entry))
}

function removeLinks(session: Session, entry: Json | undefined): void {
  removeHostEnds(session)
  // A pair that the reference plugin made has a random name on the host: the container's end leads to it.
  session.attempt(() => removeFromContainer(session, 'veth', entry))
}

function collectStrays(session: Session): void {
  const { network } = session.request
  session.attempt(() => collectStrayMasquerade(session))
  session.attempt(() => collectSpoofChecks(session.nft(), network, knownOwners(session.request)))
}

function status(session: Session): void {
  const { request, host } = session
  const config = readConfig(request)
  refuseUnusable(host, config)
  if (config.isGateway) requireUnconnected(host, gatewayName(config), request)
}
