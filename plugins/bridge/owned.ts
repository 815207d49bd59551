/** What belongs to an attachment, and how it is found again when only its names are known. */

import { stableName } from '../../lib/attach/owner.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import { type Json, jsonObject, jsonString } from '../../lib/config/json.ts'
import type { Net } from '../../lib/net/net.ts'
import type { BridgeConfig } from './config.ts'

/**
 * The name of the host's end follows from the attachment, so that DEL finds it by containerID and ifname alone,
 * with the namespace gone, the configuration changed and no prevResult.
 */
export function hostEndName(request: Request): string {
  return stableName('veth', request.network, request.containerId, request.ifName)
}

/** The names that the host's end may have: ours, and whatever prevResult lists as a veth of the host. */
export function hostEnds(request: Request): readonly string[] {
  const names = [hostEndName(request)]
  const interfaces = request.prevResult?.interfaces ?? []
  // The reference plugin's results: bridge, host's end, container's end.
  const second = interfaces[1]
  const isHostVeth = second !== undefined && (second.sandbox ?? '') === '' && /^veth[0-9a-f]{8,11}$/.test(second.name)
  if (isHostVeth && second.name !== names[0]) names.push(second.name)
  return names
}

/** Removes the host's end and with it the pair; a name that has become some other kind of link is left alone. */
export function removeHostEnd(host: Net, name: string): void {
  const link = host.findLink(name)
  if (link !== undefined && link.kind === 'veth') host.removeLinkByIndex(link.index)
}

/** What ADD is about to make, for a person who finds it; GC needs no more than its name. */
export function attachmentEntry(request: Request, config: BridgeConfig): Json {
  return jsonObject([
    ['plugin', jsonString('bridge')],
    ['bridge', jsonString(config.bridge)],
    ['hostEnd', jsonString(hostEndName(request))],
    ['netns', jsonString(request.netns)]
  ])
}
