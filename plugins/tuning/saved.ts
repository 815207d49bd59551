/**
 * The attributes an interface had before tuning, as the reference plugin saves them:
 *
 *     { "mac": "0a:00:00:00:00:01", "promisc": false, "mtu": 1500, "allmulti": false, "txQLen": 1000 }
 *
 * Only what has been changed is there. Ours also names the attachment, for GC.
 */
import type { Request } from '../../lib/cni/plugin.ts'
import { type Json, jsonBoolean, jsonNumber, jsonObject, jsonString, memberOf } from '../../lib/config/json.ts'
import { Section } from '../../lib/config/section.ts'
import { formatMac, parseMac } from '../../lib/ip/mac.ts'
import type { Link, LinkChange } from '../../lib/net/links.ts'
import type { SavedFile } from '../../lib/state/saved.ts'

/** What `link` has of that which `change` is about to change. */
export function attributesBefore(link: Link, change: LinkChange): LinkChange {
  return {
    mac: change.mac === undefined ? undefined : link.mac,
    mtu: change.mtu === undefined ? undefined : link.mtu,
    promiscuous: change.promiscuous === undefined ? undefined : link.isPromiscuous,
    allMulticast: change.allMulticast === undefined ? undefined : link.isAllMulticast,
    txQueueLength: change.txQueueLength === undefined ? undefined : link.txQueueLength
  }
}

export function savedToJson(before: LinkChange, request: Request): Json {
  return jsonObject([
    ['mac', before.mac === undefined ? undefined : jsonString(formatMac(before.mac))],
    ['promisc', before.promiscuous === undefined ? undefined : jsonBoolean(before.promiscuous)],
    ['mtu', before.mtu === undefined ? undefined : jsonNumber(before.mtu)],
    ['allmulti', before.allMulticast === undefined ? undefined : jsonBoolean(before.allMulticast)],
    ['txQLen', before.txQueueLength === undefined ? undefined : jsonNumber(before.txQueueLength)],
    ['network', jsonString(request.network)],
    ['containerID', jsonString(request.containerId)],
    ['ifName', jsonString(request.ifName)]
  ])
}

/**
 * The changes that put everything back, one attribute each, so that one which the kernel refuses keeps none of the
 * others from being restored. What is not as it should be in the file is left out.
 */
export function restoringChanges(saved: Json): readonly LinkChange[] {
  const section = new Section(saved)
  const changes: LinkChange[] = []
  const mtu = section.integer('mtu', 1, 4_294_967_295)
  if (mtu !== undefined) changes.push({ mtu })
  const mac = parseMac(section.text('mac') ?? '')
  if (mac !== undefined) changes.push({ mac })
  if (isBoolean(saved, 'promisc')) changes.push({ promiscuous: section.boolean('promisc', false) })
  if (isBoolean(saved, 'allmulti')) changes.push({ allMulticast: section.boolean('allmulti', false) })
  const txQueueLength = section.integer('txQLen', 0, 4_294_967_295)
  if (txQueueLength !== undefined) changes.push({ txQueueLength })
  return changes
}

function isBoolean(saved: Json, key: string): boolean {
  return memberOf(saved, key)?.type === 'boolean'
}

/** Whether the file belongs to an attachment of the network that the runtime does not know. Files of others: never. */
export function isStale(file: SavedFile, request: Request): boolean {
  const network = memberOf(file.saved, 'network')
  if (network === undefined || network.text !== request.network) return false
  const containerId = memberOf(file.saved, 'containerID')?.text ?? ''
  const ifName = memberOf(file.saved, 'ifName')?.text ?? ''
  return !request.validAttachments.some(one => one.containerId === containerId && one.ifName === ifName)
}
